//! The same seed and index give the same bytes, everywhere.

use alice_worlds::{PuppetShow, render, render_batch};

fn fnv1a(values: &[f32]) -> u64 {
    values
        .iter()
        .flat_map(|value| value.to_bits().to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
}

/// A change here is a change of the world: models and instruments trained on
/// it no longer match it.
#[test]
fn pictures_are_pinned() {
    let show = PuppetShow::default();
    let haunted = PuppetShow::new(1.0).unwrap();
    let hash = |show: &PuppetShow, index, size| {
        fnv1a(&render(&show.sample_factors(3, index), size).unwrap().rgb)
    };
    let mut found: Vec<u64> = (0..8).map(|index| hash(&show, index, 32)).collect();
    found.extend((0..3).map(|index| hash(&haunted, index, 32)));
    found.push(hash(&show, 12, 64));
    let batch = render_batch(&show, 11, 1_000..1_200, 32).unwrap();
    found.push(fnv1a(&batch.rgb));
    let pinned: [u64; 13] = [
        0xc2be_c109_02ef_cdd5,
        0xa38d_402e_709b_6a7e,
        0x7739_9cc1_6183_4ed1,
        0x9a69_ca39_8730_e1f1,
        0xdd83_9ae9_dc8c_bb48,
        0x9547_e7af_fa94_494b,
        0x083b_798d_c3e1_58d8,
        0x5858_a505_d41b_ab99,
        0x9d86_a27c_5d64_0c4d,
        0xb363_ff98_9266_68f2,
        0xc972_8c48_647f_f1c8,
        0x28df_0491_9625_f5e7,
        0xc4b5_4fde_f1eb_fed2,
    ];
    assert_eq!(found, pinned, "{found:#018x?}");
}

#[test]
fn threads_and_batches_do_not_matter() {
    let show = PuppetShow::default();
    let with_threads = |threads| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| render_batch(&show, 5, 40..104, 32).unwrap())
    };
    let alone = with_threads(1);
    assert_eq!(alone, with_threads(4));
    let later = render_batch(&show, 5, 100..110, 32).unwrap();
    let values = 32 * 32 * 3;
    assert_eq!(later.rgb[..4 * values], alone.rgb[60 * values..]);
    assert_eq!(later.factors[..4], alone.factors[60..]);
    let single = render(&show.sample_factors(5, 41), 32).unwrap();
    assert_eq!(single.rgb, alone.rgb[values..2 * values]);
}

#[test]
fn seeds_and_indices_differ() {
    let show = PuppetShow::default();
    let base = show.sample_factors(0, 0);
    assert_ne!(base, show.sample_factors(1, 0));
    assert_ne!(base, show.sample_factors(0, 1));
}
