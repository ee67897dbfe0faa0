//! Reads a U-Net folder and writes it again, to show diffusers what we write.
//!
//! ```text
//! cargo run -p alice-networks --example resave -- tests/fixtures/ddpm /tmp/ddpm
//! ```

use alice_networks::UNet2D;

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [from, to] = arguments.as_slice() else {
        eprintln!("usage: resave FROM TO");
        std::process::exit(2);
    };
    let done = UNet2D::open(from).and_then(|network| {
        println!("{}", network.describe());
        network.save(to)
    });
    if let Err(error) = done {
        eprintln!("{error}");
        std::process::exit(1);
    }
}
