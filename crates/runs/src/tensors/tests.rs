use super::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

pub(super) fn example() -> TensorFile {
    let mut file = TensorFile::new();
    file.insert(
        "sample",
        &[2, 3],
        vec![1.0, -2.5, 0.0, 3e-40, f32::MAX, 7.0],
    )
    .unwrap();
    file.insert("empty \"quoted\" 名", &[0, 4], vec![]).unwrap();
    file.insert("scalar", &[], vec![-0.0]).unwrap();
    file.metadata.insert("format".into(), "pt".into());
    file
}

#[test]
fn what_is_written_is_read_back_from_memory_and_disk() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/x.safetensors");
    let file = example();
    file.write(&path).unwrap();
    let back = TensorFile::read(&path).unwrap();
    assert_eq!(
        (&back.tensors, &back.metadata),
        (&file.tensors, &file.metadata)
    );
    assert_eq!(back.origin(), path);
    assert!(back.get("scalar").unwrap().data[0].is_sign_negative());
    let bytes = file.to_bytes("memory").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert_eq!(
        bytes,
        back.to_bytes("memory").unwrap(),
        "the same bytes each time"
    );
}

#[test]
fn large_tensors_cross_the_buffers() {
    let data: Vec<f32> = (0..700_001).map(|i| i as f32).collect();
    let mut file = TensorFile::new();
    file.insert("long", &[700_001], data).unwrap();
    let bytes = file.to_bytes("memory").unwrap();
    assert_eq!(
        TensorFile::from_bytes("memory", &bytes).unwrap().tensors,
        file.tensors
    );
}

/// The reference implementation reads what we write.
#[test]
fn the_safetensors_crate_agrees_on_what_we_write() {
    let bytes = example().to_bytes("memory").unwrap();
    let reference = SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(reference.len(), 3);
    let sample = reference.tensor("sample").unwrap();
    assert_eq!((sample.dtype(), sample.shape()), (Dtype::F32, &[2, 3][..]));
    assert_eq!(&sample.data()[4..8], (-2.5f32).to_le_bytes());
    let (_, about) = SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(about.metadata().as_ref().unwrap()["format"], "pt");
    assert_eq!((bytes.len() - 7 * 4) % 8, 0, "the data are aligned");
}

/// We read what the reference implementation writes, in every type.
#[test]
fn every_number_type_becomes_f32() {
    let cases: [(Dtype, Vec<u8>, [f32; 2]); 13] = [
        (
            Dtype::F32,
            [1.5f32, -2.0]
                .iter()
                .flat_map(|x| x.to_le_bytes())
                .collect(),
            [1.5, -2.0],
        ),
        (
            Dtype::F64,
            [0.1f64, -2.0]
                .iter()
                .flat_map(|x| x.to_le_bytes())
                .collect(),
            [0.1, -2.0],
        ),
        (
            Dtype::F16,
            vec![0x00, 0x3e, 0x01, 0x80],
            [1.5, -(2f32.powi(-24))],
        ),
        (Dtype::BF16, vec![0xc0, 0x3f, 0x00, 0xc0], [1.5, -2.0]),
        (
            Dtype::I64,
            [7i64, -3].iter().flat_map(|x| x.to_le_bytes()).collect(),
            [7.0, -3.0],
        ),
        (
            Dtype::I32,
            [7i32, -3].iter().flat_map(|x| x.to_le_bytes()).collect(),
            [7.0, -3.0],
        ),
        (
            Dtype::I16,
            [7i16, -3].iter().flat_map(|x| x.to_le_bytes()).collect(),
            [7.0, -3.0],
        ),
        (Dtype::I8, vec![7, 0xfd], [7.0, -3.0]),
        (
            Dtype::U64,
            [7u64, 999].iter().flat_map(|x| x.to_le_bytes()).collect(),
            [7.0, 999.0],
        ),
        (
            Dtype::U32,
            [7u32, 999].iter().flat_map(|x| x.to_le_bytes()).collect(),
            [7.0, 999.0],
        ),
        (
            Dtype::U16,
            [7u16, 999].iter().flat_map(|x| x.to_le_bytes()).collect(),
            [7.0, 999.0],
        ),
        (Dtype::U8, vec![7, 255], [7.0, 255.0]),
        (Dtype::BOOL, vec![0, 1], [0.0, 1.0]),
    ];
    let views: Vec<(String, TensorView)> = cases
        .iter()
        .map(|(dtype, bytes, _)| {
            (
                format!("{dtype:?}"),
                TensorView::new(*dtype, vec![2], bytes).unwrap(),
            )
        })
        .collect();
    let bytes = safetensors::serialize(views, None).unwrap();
    let file = TensorFile::from_bytes("reference", &bytes).unwrap();
    assert_eq!(file.tensors.len(), cases.len());
    for (dtype, _, expected) in &cases {
        assert_eq!(
            file.require(&format!("{dtype:?}"), &[2]).unwrap().data,
            expected,
            "{dtype:?}"
        );
    }
}

#[test]
fn missing_and_misshapen_tensors_are_named() {
    let mut file = TensorFile::new();
    file.insert("conv_in.weight", &[2, 1], vec![0.0; 2])
        .unwrap();
    file.insert("conv_out.bias", &[1], vec![0.0]).unwrap();
    let missing = file.require("conv_in.bias", &[2]).unwrap_err().to_string();
    assert!(
        missing.contains("\"conv_in.bias\": it is missing; the most similar is \"conv_"),
        "{missing}"
    );
    let shape = file
        .require("conv_in.weight", &[2])
        .unwrap_err()
        .to_string();
    assert!(
        shape.contains("the shape is [2, 1] and [2] is needed"),
        "{shape}"
    );
    assert!(file.require_rank("conv_in.weight", 2).is_ok());
    let rank = file
        .require_rank("conv_in.weight", 4)
        .unwrap_err()
        .to_string();
    assert!(rank.contains("4 dimensions are needed"), "{rank}");
    let error = TensorFile::new().require("x", &[]).unwrap_err().to_string();
    assert!(error.contains("holds no tensors"), "{error}");

    assert!(file.take("conv_in.weight", &[1]).is_err());
    assert_eq!(file.take("conv_in.weight", &[2, 1]).unwrap(), [0.0; 2]);
    let left = file.require_empty().unwrap_err().to_string();
    assert!(left.contains("conv_out.bias"), "{left}");
    file.take("conv_out.bias", &[1]).unwrap();
    file.require_empty().unwrap();
}

#[test]
fn the_first_element_that_is_not_finite_is_named() {
    let mut file = example();
    file.require_finite().unwrap();
    file.insert(
        "weight",
        &[2, 2, 2],
        vec![0.0, 0.0, 0.0, 0.0, 0.0, f32::NAN, 0.0, f32::INFINITY],
    )
    .unwrap();
    let error = file.require_finite().unwrap_err().to_string();
    assert!(
        error.contains("\"weight\": the element at [1, 0, 1] is NaN"),
        "{error}"
    );
}

#[test]
fn data_that_does_not_fit_its_shape_is_refused() {
    let mut file = TensorFile::new();
    assert!(file.insert("a", &[2, 2], vec![0.0; 3]).is_err());
    assert!(file.insert("a", &[usize::MAX, 2], vec![]).is_err());
    assert!(file.insert("__metadata__", &[1], vec![0.0]).is_err());
    let tensor = NamedTensor {
        shape: vec![3],
        data: vec![],
    };
    file.tensors.insert("b".into(), tensor);
    assert!(
        file.to_bytes("memory")
            .unwrap_err()
            .to_string()
            .contains("\"b\"")
    );
    let folder = tempfile::tempdir().unwrap();
    assert!(file.write(folder.path().join("x")).is_err());
    assert!(crate::disk::list(folder.path()).unwrap().is_empty());
}
