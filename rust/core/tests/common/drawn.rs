//! Pictures that somebody else encodes and decodes.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

/// A picture of noise on a slope, encoded by somebody else.
#[derive(Debug, Clone)]
pub(crate) struct Drawn {
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) sampling: SamplingFactor,
    pub(crate) restart: u16,
    pub(crate) seed: u32,
}

impl Drawn {
    pub(crate) fn plain() -> Self {
        Self {
            width: 100,
            height: 70,
            sampling: SamplingFactor::R_4_4_4,
            restart: 0,
            seed: 7,
        }
    }

    pub(crate) fn pixels(&self) -> Vec<u8> {
        let mut state = self.seed | 1;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            u8::try_from(state >> 24).unwrap()
        };
        (0..usize::from(self.width) * usize::from(self.height))
            .flat_map(|at| {
                let slope = u8::try_from(at % 251).unwrap();
                [slope, noise(), slope / 2 + noise() / 8]
            })
            .collect()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out, 60);
        encoder.set_sampling_factor(self.sampling);
        if self.restart > 0 {
            encoder.set_restart_interval(self.restart);
        }
        encoder
            .encode(&self.pixels(), self.width, self.height, ColorType::Rgb)
            .unwrap();
        out
    }
}

pub(crate) fn decode(stream: &[u8]) -> (usize, Vec<u8>) {
    let mut decoder = jpeg_decoder::Decoder::new(stream);
    let pixels = decoder.decode().unwrap();
    (usize::from(decoder.info().unwrap().width), pixels)
}

/// Without subsampling a decoder makes the same pixels of equal coefficients, wherever they stand.
pub(crate) fn assert_same_pixels(drawn: &Drawn, frames: &[Vec<u8>], size: (usize, usize)) {
    let (width, whole) = decode(&drawn.encode());
    let (columns, rows) = size;
    let across = width.div_ceil(columns);
    assert_eq!(
        frames.len(),
        across * usize::from(drawn.height).div_ceil(rows)
    );
    for (number, frame) in frames.iter().enumerate() {
        let (frame_width, pixels) = decode(frame);
        assert_eq!((frame_width, pixels.len()), (columns, columns * rows * 3));
        let (x0, y0) = (number % across * columns, number / across * rows);
        for y in 0..rows.min(usize::from(drawn.height) - y0) {
            let len = columns.min(width - x0) * 3;
            let theirs = ((y0 + y) * width + x0) * 3;
            let ours = y * columns * 3;
            for (own, expected) in pixels[ours..ours + len].iter().zip(&whole[theirs..]) {
                // The decoder rounds otherwise where it converts colours of eight pixels at once.
                assert!(own.abs_diff(*expected) <= 2, "frame {number}, row {y}");
            }
        }
    }
}

pub(crate) fn sampling() -> impl Strategy<Value = SamplingFactor> {
    prop_oneof![
        Just(SamplingFactor::R_4_4_4),
        Just(SamplingFactor::R_4_2_2),
        Just(SamplingFactor::R_4_2_0),
        Just(SamplingFactor::R_4_4_0),
    ]
}
