//! Whatever the input: one clear error, a non-zero exit, no panic, nothing
//! half-written, nothing lost.

mod common;

use alice_runs::TensorFile;
use common::{Home, check_refusal, files, ramp, temporary_files, write_picture, write_tensors};
use serde_json::json;
use std::fs;
use std::path::PathBuf;

const SAMPLE: &str = "sample --model model --steps 2 --count 1 --out run";

/// A home with the tiny model; its weights' path and bytes.
fn with_model() -> (Home, PathBuf, Vec<u8>) {
    let home = Home::new();
    let weights = home
        .tiny_model()
        .join("unet/diffusion_pytorch_model.safetensors");
    let bytes = fs::read(&weights).unwrap();
    (home, weights, bytes)
}

#[test]
fn truncated_weights() {
    let (home, path, bytes) = with_model();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for length in [
        0,
        1,
        7,
        8,
        9,
        header / 2,
        header - 1,
        header,
        header + 1,
        bytes.len() - 1,
    ] {
        fs::write(&path, &bytes[..length]).unwrap();
        home.refused(SAMPLE, &["diffusion_pytorch_model.safetensors"]);
        assert!(!home.path("run").exists());
    }
    fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
    home.refused(SAMPLE, &["diffusion_pytorch_model.safetensors"]);
}

#[test]
fn flipped_bits_are_refused_or_harmless() {
    let (home, path, bytes) = with_model();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let positions = (0..8)
        .chain((8..header).step_by(header / 24))
        .chain([header + 3, header + 99]);
    let mut refused = 0;
    for position in positions {
        let mut flipped = bytes.clone();
        flipped[position] ^= 1 << (position % 8);
        fs::write(&path, flipped).unwrap();
        let ran = home.alice(&format!("{SAMPLE} --overwrite"));
        if ran.code != Some(0) {
            check_refusal(&format!("byte {position}"), &ran, &[]);
            refused += 1;
        }
    }
    assert!(refused > 20, "{refused}");
}

#[test]
fn lying_headers() {
    let (home, path, _) = with_model();
    let file = |length: u64, header: &str, data: usize| {
        let parts = [&length.to_le_bytes()[..], header.as_bytes(), &vec![0; data]];
        fs::write(&path, parts.concat()).unwrap();
    };
    file(u64::MAX, "{}", 0);
    home.refused(SAMPLE, &["header", "18446744073709551615"]);
    file(90_000_000, "{}", 100);
    home.refused(SAMPLE, &["header"]);
    for header in [
        "[]",
        "{",
        "{\"a\":1}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[0,9999]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4],\"data_offsets\":[0,16]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[4],\"data_offsets\":[16,0]}}",
        "{\"a\":{\"dtype\":\"Q7\",\"shape\":[4],\"data_offsets\":[0,16]}}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[5],\"data_offsets\":[0,16]}}",
    ] {
        file(header.len() as u64, header, 16);
        home.refused(SAMPLE, &["diffusion_pytorch_model.safetensors"]);
    }
}

#[test]
fn files_that_are_no_safetensors_say_what_they_seem_to_be() {
    let (home, path, _) = with_model();
    for (bytes, word) in [
        (&b"PK\x03\x04 and more than eight bytes"[..], "PyTorch"),
        (
            b"version https://git-lfs.github.com/spec/v1",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html><html></html>", "web page"),
    ] {
        fs::write(&path, bytes).unwrap();
        home.refused(SAMPLE, &[word]);
    }
    fs::remove_file(&path).unwrap();
    home.refused(SAMPLE, &["diffusion_pytorch_model.safetensors is missing"]);
    fs::remove_file(home.path("model/unet/config.json")).unwrap();
    home.refused(SAMPLE, &["no config.json"]);
    home.refused("sample --model nowhere", &["nowhere", "no such folder"]);
}

#[test]
fn tensors_that_do_not_fit() {
    let (home, path, bytes) = with_model();
    let change = |change: &dyn Fn(&mut TensorFile)| {
        let mut file = TensorFile::from_bytes("weights", &bytes).unwrap();
        change(&mut file);
        file.write(&path).unwrap();
    };
    let name = "conv_in.weight";
    change(&|file| drop(file.tensors.remove(name)));
    home.refused(SAMPLE, &[name, "missing"]);
    change(&|file| file.insert("extra.weight", &[1], vec![0.0]).unwrap());
    home.refused(SAMPLE, &["extra.weight", "no place"]);
    change(&|file| file.tensors.get_mut(name).unwrap().shape.swap(0, 1));
    home.refused(SAMPLE, &[name, "shape"]);
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        change(&|file| file.tensors.get_mut(name).unwrap().data[5] = value);
        home.refused(SAMPLE, &[name]);
    }
    // Finite, but the network overflows on them.
    change(&|file| file.tensors.values_mut().for_each(|t| t.data.fill(3e38)));
    home.refused(SAMPLE, &["finite"]);
    assert!(!home.path("run").exists());
}

#[test]
fn configs_that_are_not_supported() {
    let (home, _, _) = with_model();
    let path = home.path("model/unet/config.json");
    let text = fs::read_to_string(&path).unwrap();
    let refuse = |from: &str, to: &str, words: &[&str]| {
        assert!(text.contains(from), "{from}");
        fs::write(&path, text.replace(from, to)).unwrap();
        home.refused(SAMPLE, &[&["config.json"], words].concat());
    };
    refuse("\"silu\"", "\"mish\"", &["act_fn", "mish"]);
    refuse(
        "\"UNet2DModel\"",
        "\"UNet3DConditionModel\"",
        &["UNet3DConditionModel"],
    );
    refuse(
        "\"norm_num_groups\": 4",
        "\"norm_num_groups\": 5",
        &["norm_num_groups"],
    );
    refuse(
        "\"norm_num_groups\": 4",
        "\"norm_num_groups\": 0",
        &["norm_num_groups"],
    );
    refuse(
        "\"sample_size\": 8",
        "\"sample_size\": -8",
        &["sample_size"],
    );
    refuse(
        "\"sample_size\": 8",
        "\"sample_size\": 99999999",
        &["sample_size"],
    );
    refuse(
        "\"DownBlock2D\",",
        "\"KDownBlock2D\",",
        &["down_block_types", "KDownBlock2D"],
    );
    refuse(
        "\"UNetMidBlock2D\"",
        "\"UNetMidBlock3D\"",
        &["mid_block_type"],
    );
    refuse(
        "\"in_channels\": 3",
        "\"in_channels\": 1e12",
        &["in_channels"],
    );
    refuse(
        "\"positional\"",
        "\"fourier\"",
        &["time_embedding_type", "fourier"],
    );
    refuse(
        "\"layers_per_block\": 1",
        "\"layers_per_block\": \"one\"",
        &["layers_per_block"],
    );
    for text in ["", "[]", "{\"a\":", "\u{0}"] {
        fs::write(&path, text).unwrap();
        home.refused(SAMPLE, &["config.json"]);
    }
    fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    home.refused(SAMPLE, &["config.json", "UTF-8"]);
}

#[test]
fn schedulers_that_are_not_supported() {
    let (home, _, _) = with_model();
    let path = home.path("model/scheduler/scheduler_config.json");
    let text = fs::read_to_string(&path).unwrap();
    for (from, to, word) in [
        ("\"linear\"", "\"strange\"", "strange"),
        (
            "\"thresholding\": false",
            "\"thresholding\": true",
            "thresholding",
        ),
        (
            "\"num_train_timesteps\": 1000",
            "\"num_train_timesteps\": 0",
            "num_train_timesteps",
        ),
        ("\"beta_end\": 0.02", "\"beta_end\": 2.0", "beta"),
        ("\"v_prediction\"", "\"dreams\"", "dreams"),
        ("}", "", "scheduler"),
    ] {
        fs::write(&path, text.replace(from, to)).unwrap();
        home.refused(SAMPLE, &["scheduler_config.json", word]);
    }
    fs::write(&path, "[]").unwrap();
    home.refused(SAMPLE, &["scheduler_config.json", "map"]);
    // The index of a pipeline says which scheduler it is.
    let index = home.path("model/model_index.json");
    let flow = "FlowMatchEulerDiscreteScheduler";
    fs::write(&path, &text).unwrap();
    fs::write(
        &index,
        json!({ "scheduler": ["diffusers", flow] }).to_string(),
    )
    .unwrap();
    home.refused(SAMPLE, &["scheduler_config.json", flow]);
}

#[test]
fn arguments_that_make_no_sense() {
    let (home, _, _) = with_model();
    home.refused("sample --model model --steps 0", &["steps"]);
    home.refused("sample --model model --steps 1001", &["1001"]);
    home.refused("sample --model model --eta 1.5", &["eta"]);
    home.refused("sample --model model --eta nan", &["eta"]);
    home.refused("sample --model model --sampler ddpm --eta 1", &["--eta"]);
    home.refused("sample --model model --count 0", &["--count"]);
    let input = [
        ("sample", &[1, 3, 8, 8][..], ramp(192)),
        ("timestep", &[1], vec![500.0]),
    ];
    write_tensors(&home.path("in"), &input);
    let discover = "discover --model model --input in --basis-only";
    for rank in ["0", "193", "99999999999"] {
        home.refused(
            &format!("{discover} --rank {rank}"),
            &["--rank", "between 1 and 192"],
        );
    }
    home.refused("world --size 7", &["7"]);
    home.refused("world --size 9999", &["9999"]);
    home.refused("world --count 0", &["--count"]);
    home.refused("world --count 99999999999", &["--count"]);
    home.refused("world --haunted-share 2", &["haunted"]);
    home.refused("world --traverse nose", &["nose", "nose_size"]);
    write_picture(&home.path("a.png"), 8, 8);
    home.refused("edit a.png --model model --at 0", &["--at"]);
    home.refused("edit a.png --model model --strength=-1", &["--strength"]);
    home.refused("edit a.png --model model --frames 3", &["--frames"]);
    let empty = [("latents", &[0, 3, 8, 8][..], Vec::new())];
    write_tensors(&home.path("empty"), &empty);
    home.refused(
        "sample --model model --input empty",
        &["empty", "no sample"],
    );
    assert!(!home.path("runs").exists());
}

/// A share of the schedule is refused by one rule, whichever verb takes it.
#[test]
fn shares_lie_above_0_and_at_most_at_1() {
    let (home, _, _) = with_model();
    write_picture(&home.path("a.png"), 8, 8);
    for command in [
        "compare --at",
        "compare --times",
        "discover --model model --at",
        "edit a.png --model model --at",
        "global --model model --at",
        "hspace --model model --at",
        "measure --at",
        "survey --from",
        "transport --model model --at",
        "treat --model model --at",
    ] {
        let option = command.rsplit(' ').next().unwrap();
        for share in ["0", "1.5", "NaN"] {
            home.refused(
                &format!("{command} {share} --out none"),
                &[option, share, "must lie above 0 and at most at 1"],
            );
        }
    }
    assert!(!home.path("none").exists());
}

/// Counts beyond all reason and counts of nothing are told the same.
#[test]
fn counts_lie_within_one_range() {
    let (home, _, _) = with_model();
    for count in ["0", "100000000"] {
        home.refused(
            &format!("sample --model model --count {count}"),
            &["--count", count, "between 1 and 1000000"],
        );
    }
    home.refused(
        "sample --steps 1000 --sampler heun",
        &["1000", "this sampler takes between 1 and"],
    );
}

#[test]
fn pictures_that_cannot_be_used() {
    let (home, _, _) = with_model();
    write_picture(&home.path("a.png"), 8, 8);
    write_picture(&home.path("wide.png"), 9, 8);
    let bytes = fs::read(home.path("a.png")).unwrap();
    fs::write(home.path("cut.png"), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(home.path("empty.png"), []).unwrap();
    fs::write(home.path("photo.png"), b"\xff\xd8\xff\xe0 a JPEG").unwrap();
    for verb in ["invert", "edit"] {
        let refused = |name: &str, words: &[&str]| {
            home.refused(&format!("{verb} {name} --model model --steps 2"), words);
        };
        refused("wide.png", &["9 × 8", "8 × 8", "--resize"]);
        refused("cut.png", &["cut.png", "cut off"]);
        refused("empty.png", &["empty file"]);
        refused("photo.png", &["JPEG"]);
        refused("none.png", &["none.png", "no such"]);
        refused("model", &["folder"]);
    }
}

#[test]
fn tensors_that_predict_cannot_use() {
    let (home, _, _) = with_model();
    let predict = "predict --model model --input in --output out";
    let refused = |tensors: &[(&str, &[usize], Vec<f32>)], words: &[&str]| {
        write_tensors(&home.path("in"), tensors);
        home.refused(predict, words);
        assert!(!home.path("out").exists());
    };
    let time = || ("timestep", &[1][..], vec![1.0]);
    refused(&[time()], &["sample", "missing"]);
    refused(
        &[("sample", &[1, 3, 8, 8], ramp(192))],
        &["timestep", "missing"],
    );
    refused(
        &[("sample", &[3, 8, 8], ramp(192)), time()],
        &["sample", "dimensions"],
    );
    refused(&[("sample", &[0, 3, 8, 8], vec![]), time()], &["sample"]);
    refused(
        &[("sample", &[1, 4, 8, 8], ramp(256)), time()],
        &["sample", "[1, 4, 8, 8]"],
    );
    refused(
        &[("sample", &[1, 3, 7, 8], ramp(168)), time()],
        &["7", "multiples of 2"],
    );
    let sample = || ("sample", &[2, 3, 8, 8][..], ramp(384));
    refused(
        &[sample(), ("timestep", &[3], vec![1.0; 3])],
        &["timestep", "[3]"],
    );
    refused(
        &[sample(), ("timestep", &[1], vec![f32::NAN])],
        &["timestep", "NaN"],
    );
    let mut broken = ramp(384);
    broken[7] = f32::INFINITY;
    refused(
        &[("sample", &[2, 3, 8, 8], broken), time()],
        &["sample", "inf"],
    );
    fs::write(home.path("in"), b"nonsense").unwrap();
    home.refused(predict, &["in"]);
    home.refused("predict --model model --input none --output out", &["none"]);
}

#[test]
fn outputs_that_cannot_be_written() {
    let (home, _, _) = with_model();
    fs::write(home.path("file"), "a file").unwrap();
    home.refused("world --size 8 --count 1 --out file/run", &["file"]);
    home.refused("world --size 8 --count 1 --out file", &["file"]);
    fs::create_dir(home.path("mine")).unwrap();
    fs::write(home.path("mine/letter"), "dear").unwrap();
    home.refused(
        "world --size 8 --count 1 --out mine --overwrite",
        &["mine", "holds no run"],
    );
    assert_eq!(
        fs::read_to_string(home.path("mine/letter")).unwrap(),
        "dear"
    );
    home.json("world --size 8 --count 2 --out run");
    let before = files(&home.path("run"));
    home.refused(
        "world --size 8 --count 1 --out run",
        &["run", "--overwrite"],
    );
    // A wrong argument must not cost the earlier run.
    home.refused("world --size 1 --out run --overwrite", &["1"]);
    assert_eq!(files(&home.path("run")), before);
    home.json("world --size 8 --count 1 --out run --overwrite");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk() {
    let (home, _, _) = with_model();
    let tensors = [
        ("sample", &[1, 3, 8, 8][..], ramp(192)),
        ("timestep", &[1], vec![1.0]),
    ];
    write_tensors(&home.path("in"), &tensors);
    home.refused(
        "predict --model model --input in --output /dev/full",
        &["/dev/full", "full"],
    );
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = home.command("world --size 8 --count 1 --json --out run");
    let output = command.stdout(full).output().unwrap();
    check_refusal("stdout", &output.into(), &["standard output", "complete"]);
    assert!(home.path("run/report.json").is_file());
}

/// A limit on the size of files stands for a disk that fills up while a run
/// writes: the error is the same path through the program.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_in_the_middle_of_a_run() {
    let (home, _, _) = with_model();
    let program = env!("CARGO_BIN_EXE_alice");
    let fill = |sample: &str, out: &str| {
        // In blocks of 512 bytes: pictures fit, the latents of all samples do not.
        let script = format!("trap '' XFSZ; ulimit -f 32; exec {program} {sample}");
        let mut command = std::process::Command::new("sh");
        command.args(["-c", &script]).current_dir(home.path("."));
        let ran = command.output().unwrap().into();
        check_refusal(sample, &ran, &[out, "latents.safetensors"]);
        assert!(temporary_files(&home.path(out)).is_empty());
    };
    // The run that was to be replaced is back.
    home.json("sample --model model --steps 2 --count 1 --seed 5 --out kept");
    let contents = || files(&home.path("kept")).into_iter().map(fs::read);
    let before: Vec<_> = contents().map(Result::unwrap).collect();
    let sample = "sample --model model --steps 2 --count 64";
    fill(&format!("{sample} --out kept --overwrite"), "kept");
    assert!(contents().map(Result::unwrap).eq(before));
    let sample = &format!("{sample} --out run");
    fill(sample, "run");
    assert!(!home.path("run/latents.safetensors").exists());
    assert!(!home.path("run/report.json").exists());
    // What was written before is whole, and the folder can be used again.
    for path in files(&home.path("run")) {
        if path.extension().is_some_and(|e| e == "png") {
            alice_runs::picture::read_png(&path).unwrap();
        }
    }
    home.json(&format!("{sample} --overwrite"));
}

/// Nobody makes folders there, not even root.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_of_someone_else() {
    let home = Home::new();
    home.refused("world --size 8 --count 1 --out /sys/run", &["/sys/run"]);
    assert!(!fs::exists("/sys/run").unwrap());
}

#[cfg(unix)]
#[test]
fn a_folder_without_permission() {
    use std::os::unix::fs::PermissionsExt;
    let home = Home::new();
    let folder = home.path("theirs");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    let probe = fs::write(folder.join("probe"), "");
    let ran = home.alice("world --size 8 --count 1 --out theirs/run");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    match probe {
        Err(_) => check_refusal("theirs", &ran, &["permission denied"]),
        // Root may write anywhere.
        Ok(()) => assert_eq!(ran.code, Some(0), "{ran:?}"),
    }
}

#[test]
fn a_run_is_not_overwritten_by_what_reads_it() {
    let home = Home::new();
    home.tiny_model();
    home.json("sample --model model --steps 2 --count 2 --out run");
    let before = files(&home.path("run"));
    for command in [
        "edit run/0001.png --model model --steps 2 --iterations 2 --frames 2",
        "sample --model model --input run/latents.safetensors --steps 2",
        "inpaint run/0000.png --model model --mask run/0001.png --steps 2",
    ] {
        home.refused(
            &format!("{command} --out run --overwrite"),
            &["--overwrite", "lies in run"],
        );
        assert_eq!(files(&home.path("run")), before, "{command}");
    }
    home.refused(
        "sample --model model --steps 2 --count 1 --out model --overwrite",
        &["--overwrite", "model lies in model"],
    );
}

#[test]
fn numbers_beyond_all_reason() {
    let home = Home::new();
    home.tiny_model();
    const HUGE: u64 = u64::MAX;
    for (command, word) in [
        (format!("evolve --problem ackley --dim {HUGE}"), "--dim"),
        (
            format!("evolve --problem ackley --generations {HUGE}"),
            "--generations",
        ),
        (
            format!("evolve --problem ackley --population {HUGE}"),
            "--population",
        ),
        (
            format!("evolve --problem ackley --method cma-es --population {HUGE}"),
            "--population",
        ),
        (
            format!("evolve --problem cartpole --hidden {HUGE}"),
            "--hidden",
        ),
        (format!("survey --count {HUGE}"), "--count"),
        (
            format!("discover --model model --samples {HUGE}"),
            "--samples",
        ),
        (
            format!("discover --model model --iterations {HUGE} --frames {HUGE}"),
            "--iterations",
        ),
        ("discover --model model --reach 1e30".to_owned(), "--reach"),
        ("discover --model model --walks 0".to_owned(), "--walks"),
        (
            "discover --model model --tolerance 1e-7".to_owned(),
            "--tolerance",
        ),
        (format!("measure --samples {HUGE}"), "--samples"),
        (format!("measure --rank {HUGE}"), "--rank"),
        ("measure --random 3073".to_owned(), "--random"),
        (format!("measure --random {HUGE}"), "--random"),
        (
            "transport --model model --to 1,2,1".to_owned(),
            "named twice",
        ),
        (
            "measure --steps 3 --at 0.6,0.5".to_owned(),
            "step of its own",
        ),
        (
            "compare --steps 3 --times 0.6,0.5".to_owned(),
            "step of its own",
        ),
        (format!("treat --learn {HUGE}"), "--learn"),
        (
            "treat --learn 30 --components 16".to_owned(),
            "--components",
        ),
    ] {
        home.refused(&format!("{command} --out none"), &[word]);
        assert!(!home.path("none").exists(), "{command}");
    }
}
