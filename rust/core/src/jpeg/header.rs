//! Walks the marker segments of a tile, and of the tables that tiles share.

use std::iter::repeat;

use super::tables::Tables;
use super::{Component, Facts, marker};
use crate::error::StreamError;

/// One marker segment, its marker and length included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    pub(crate) marker: u8,
    pub(crate) bytes: &'a [u8],
}

impl<'a> Segment<'a> {
    /// What follows marker and length.
    pub(crate) fn payload(&self) -> &'a [u8] {
        self.bytes.get(4..).unwrap_or_default()
    }
}

/// The header of a tile up to the first byte of entropy-coded data.
#[derive(Debug, Clone)]
pub struct Header<'a> {
    /// What it says.
    pub facts: Facts,
    /// Index of the first byte of entropy-coded data.
    pub len: usize,
    /// How many `APPn` and COM segments it holds; none of them goes out.
    pub dropped: u32,
    /// The tables that the stream defines itself.
    pub(crate) tables: Tables<'a>,
    scan: Segment<'a>,
}

impl Header<'_> {
    /// Length of the scan header, its marker included.
    pub(crate) fn scan_len(&self) -> usize {
        self.scan.bytes.len()
    }
}

/// The tables that the tiles of a level share (tag 347), cleaned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharedTables {
    /// DQT and DHT segments, each checked.
    bytes: Vec<u8>,
    /// How many segments were dropped: comments, applications, restart interval.
    pub dropped: u32,
}

impl SharedTables {
    /// Length of what is kept.
    #[must_use]
    pub fn byte_count(&self) -> u64 {
        u64::try_from(self.bytes.len()).unwrap_or(u64::MAX)
    }

    pub(crate) fn tables(&self) -> Result<Tables<'_>, StreamError> {
        let mut tables = Tables::default();
        let mut cursor = Cursor {
            bytes: &self.bytes,
            at: 0,
        };
        while cursor.at < self.bytes.len() {
            let code = cursor.marker()?;
            tables.read(cursor.segment(code)?)?;
        }
        Ok(tables)
    }
}

/// A place in a header that is read from front to back.
pub(crate) struct Cursor<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) at: usize,
}

impl<'a> Cursor<'a> {
    fn malformed(&self, what: &'static str) -> StreamError {
        malformed(what, self.at)
    }

    fn byte(&mut self) -> Result<u8, StreamError> {
        let byte = *self.bytes.get(self.at).ok_or(StreamError::Incomplete)?;
        self.at = self.at.saturating_add(1);
        Ok(byte)
    }

    /// Reads a marker, over any fill bytes before it (T.81 B.1.1.2).
    pub(crate) fn marker(&mut self) -> Result<u8, StreamError> {
        if self.byte()? != 0xFF {
            return Err(malformed(
                "no marker where one must be",
                self.at.saturating_sub(1),
            ));
        }
        loop {
            match self.byte()? {
                0xFF => {}
                0x00 => return Err(self.malformed("a stuffed byte outside entropy-coded data")),
                code => return Ok(code),
            }
        }
    }

    /// Reads the rest of the segment whose marker was just read.
    pub(crate) fn segment(&mut self, marker: u8) -> Result<Segment<'a>, StreamError> {
        let start = self.at.saturating_sub(2);
        let high = self.byte()?;
        let low = self.byte()?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        if len < 2 {
            return Err(self.malformed("a segment length below 2"));
        }
        let end = start.saturating_add(2).saturating_add(len);
        let bytes = self.bytes.get(start..end).ok_or(StreamError::Incomplete)?;
        self.at = end;
        Ok(Segment { marker, bytes })
    }
}

pub(crate) fn malformed(what: &'static str, at: usize) -> StreamError {
    StreamError::Malformed {
        what,
        at: u64::try_from(at).unwrap_or(u64::MAX),
    }
}

/// Reads the tables of tag 347 and keeps DQT and DHT.
///
/// Comments and `APPn` may hold text. DRI is dropped as well: inside a TIFF each SOI resets the
/// restart interval, so it never applied to a tile.
///
/// # Errors
///
/// [`StreamError`] if it is not a table-specification stream (T.81 B.5).
pub fn parse_shared_tables(bytes: &[u8]) -> Result<SharedTables, StreamError> {
    let mut shared = SharedTables::default();
    if bytes.is_empty() {
        return Ok(shared);
    }
    let mut cursor = Cursor { bytes, at: 0 };
    if cursor.marker()? != marker::SOI {
        return Err(cursor.malformed("no SOI"));
    }
    loop {
        let code = match cursor.marker() {
            Ok(code) => code,
            // Some writers leave the EOI out; the tables before it are whole.
            Err(StreamError::Incomplete) if cursor.at >= bytes.len() => break,
            Err(error) => return Err(error),
        };
        match code {
            marker::EOI => break,
            marker::DQT | marker::DHT => {
                let segment = cursor.segment(code)?;
                Tables::default().read(segment)?;
                shared.bytes.extend_from_slice(segment.bytes);
            }
            marker::DRI | marker::COM | marker::APP0..=marker::APP15 => {
                cursor.segment(code)?;
                shared.dropped = shared.dropped.saturating_add(1);
            }
            _ => return Err(cursor.malformed("a marker that does not belong into tables")),
        }
    }
    Ok(shared)
}

/// What stands in front of the first scan of a stream, whatever scans it has.
#[derive(Debug)]
pub(crate) struct Start<'a> {
    /// Its components have the table selectors that a frame of ours gives them.
    pub(crate) facts: Facts,
    pub(crate) tables: Tables<'a>,
    pub(crate) dropped: u32,
    pub(crate) frame: Segment<'a>,
    pub(crate) scan: Segment<'a>,
    /// Conditioning of arithmetic coding.
    pub(crate) conditioning: Option<Segment<'a>>,
    /// Index of the first byte behind the scan header.
    pub(crate) len: usize,
}

/// Walks the segments of a tile up to its entropy-coded data.
///
/// # Errors
///
/// [`StreamError::Incomplete`] if `bytes` end before that; any other [`StreamError`] if the
/// stream breaks T.81 or cannot be a frame.
pub fn parse_header(bytes: &[u8]) -> Result<Header<'_>, StreamError> {
    let start = parse_start(bytes)?;
    if start.conditioning.is_some() {
        return Err(StreamError::Unsupported("arithmetic coding"));
    }
    let components = read_components(start.frame, start.scan, start.len)?;
    Ok(Header {
        facts: Facts {
            components,
            ..start.facts
        },
        len: start.len,
        dropped: start.dropped,
        tables: start.tables,
        scan: start.scan,
    })
}

/// The same for a stream of any process and with any number of scans.
pub(crate) fn parse_start(bytes: &[u8]) -> Result<Start<'_>, StreamError> {
    let mut cursor = Cursor { bytes, at: 0 };
    if cursor.marker()? != marker::SOI {
        return Err(malformed("no SOI", 0));
    }
    let mut tables = Tables::default();
    let (mut frame, mut restart, mut conditioning) = (None, None, None);
    let (mut dropped, mut jfif, mut adobe_transform) = (0_u32, false, None);
    loop {
        let at = cursor.at;
        let code = cursor.marker()?;
        match code {
            marker::SOS => {
                let scan = cursor.segment(code)?;
                let frame: Segment<'_> = frame.ok_or(malformed("SOS before SOF", at))?;
                let (precision, rows, columns) = read_size(frame, at)?;
                let facts = Facts {
                    sof: frame.marker,
                    precision,
                    rows,
                    columns,
                    components: read_frame(frame, at)?,
                    jfif,
                    adobe_transform,
                    restart_interval: restart.map_or(Ok(0), |s| restart_interval(s, at))?,
                };
                return Ok(Start {
                    facts,
                    tables,
                    dropped,
                    frame,
                    scan,
                    conditioning,
                    len: cursor.at,
                });
            }
            marker::DQT | marker::DHT => tables.read(cursor.segment(code)?)?,
            marker::DRI => restart = Some(cursor.segment(code)?),
            marker::COM | marker::APP0..=marker::APP15 => {
                let segment = cursor.segment(code)?;
                dropped = dropped.saturating_add(1);
                jfif |= code == marker::APP0 && segment.payload().starts_with(b"JFIF\0");
                if code == marker::APP14 && segment.payload().starts_with(b"Adobe") {
                    adobe_transform = segment.payload().get(11).copied().or(adobe_transform);
                }
            }
            marker::DAC => conditioning = Some(cursor.segment(code)?),
            marker::DNL => return Err(StreamError::Unsupported("a DNL segment")),
            marker::DHP | marker::EXP => return Err(StreamError::Unsupported("hierarchical JPEG")),
            marker::SOF0..=marker::SOF15 if code != marker::JPG => {
                if frame.replace(cursor.segment(code)?).is_some() {
                    return Err(malformed("a second SOF", at));
                }
            }
            marker::SOF55 => return Err(StreamError::Unsupported("JPEG-LS")),
            marker::EOI => return Err(malformed("EOI before SOS", at)),
            _ => return Err(malformed("a marker that does not belong into a header", at)),
        }
    }
}

pub(crate) fn restart_interval(segment: Segment<'_>, at: usize) -> Result<u16, StreamError> {
    match segment.payload() {
        [high, low] => Ok(u16::from_be_bytes([*high, *low])),
        _ => Err(malformed("a DRI of wrong length", at)),
    }
}

fn read_size(frame: Segment<'_>, at: usize) -> Result<(u8, u16, u16), StreamError> {
    match frame.payload() {
        [precision, y1, y0, x1, x0, ..] => Ok((
            *precision,
            u16::from_be_bytes([*y1, *y0]),
            u16::from_be_bytes([*x1, *x0]),
        )),
        _ => Err(malformed("an SOF that is too short", at)),
    }
}

/// Reads the components of the frame header.
fn read_frame(frame: Segment<'_>, at: usize) -> Result<Vec<Component>, StreamError> {
    let (count, entries) = frame
        .payload()
        .get(5..)
        .and_then(<[u8]>::split_first)
        .ok_or(malformed("an SOF that is too short", at))?;
    if usize::from(*count).saturating_mul(3) != entries.len() || *count == 0 {
        return Err(malformed(
            "an SOF whose length does not fit its components",
            at,
        ));
    }
    let mut components: Vec<Component> = Vec::new();
    for (entry, table) in entries
        .chunks_exact(3)
        .zip([0].into_iter().chain(repeat(1)))
    {
        let &[id, sampling, quantisation] = entry else {
            return Err(malformed("an SOF that is too short", at));
        };
        let component = Component {
            id,
            horizontal: sampling >> 4,
            vertical: sampling & 15,
            quantisation,
            dc: table,
            ac: table,
        };
        let factors = [component.horizontal, component.vertical];
        if factors.iter().any(|factor| !(1..=4).contains(factor)) {
            return Err(malformed("a sampling factor outside 1 to 4", at));
        }
        if components.iter().any(|other| other.id == id) {
            return Err(malformed("two components with one identifier", at));
        }
        components.push(component);
    }
    Ok(components)
}

/// Reads the components of the frame header with the table selectors of the only scan header.
fn read_components(
    frame: Segment<'_>,
    scan: Segment<'_>,
    at: usize,
) -> Result<Vec<Component>, StreamError> {
    let mut components = read_frame(frame, at)?;
    let selectors = read_scan(scan, at)?;
    if selectors.len() != components.len() {
        return Err(StreamError::Unsupported("more than one scan"));
    }
    for (component, [id, entropy]) in components.iter_mut().zip(selectors) {
        if component.id != *id {
            return Err(malformed(
                "an SOS whose components are not those of the SOF",
                at,
            ));
        }
        (component.dc, component.ac) = (entropy >> 4, entropy & 15);
    }
    Ok(components)
}

/// Component identifiers of a scan header, each with the selectors of its tables.
pub(crate) fn read_scan(scan: Segment<'_>, at: usize) -> Result<&[[u8; 2]], StreamError> {
    let (count, entries) = scan
        .payload()
        .split_first()
        .ok_or(malformed("an SOS that is too short", at))?;
    let len = usize::from(*count).saturating_mul(2);
    if len.saturating_add(3) != entries.len() {
        return Err(malformed(
            "an SOS whose length does not fit its components",
            at,
        ));
    }
    let (selectors, _) = entries.get(..len).unwrap_or_default().as_chunks();
    Ok(selectors)
}
