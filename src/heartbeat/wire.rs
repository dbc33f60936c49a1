//! Fixed little-endian encoding for packets and blocks: what is not there cannot be misread.

/// The bytes are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bytes end too early or hold an impossible value")]
pub struct Malformed;

/// Appends values to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Writes into a buffer whose content is over, so that its room is used again.
    pub fn over(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Writer { bytes }
    }

    /// How many bytes there are so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes so far.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    /// One byte.
    pub fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    /// Two bytes.
    pub fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Four bytes.
    pub fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Eight bytes.
    pub fn u64(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A uuid: sixteen bytes.
    pub fn uuid(&mut self, value: uuid::Uuid) {
        self.bytes.extend_from_slice(value.as_bytes());
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// A value that may be absent: a mark, then the value.
    pub fn option<V>(&mut self, value: Option<V>, write: impl FnOnce(&mut Self, V)) {
        match value {
            None => self.u8(0),
            Some(value) => {
                self.u8(1);
                write(self, value);
            }
        }
    }

    /// Three bytes; what does not fit is the largest value.
    pub fn u24(&mut self, value: u32) {
        self.bytes.extend_from_slice(&value.min(0xFF_FFFF).to_le_bytes()[..3]);
    }

    /// Six bytes; what does not fit is the largest value.
    pub fn u48(&mut self, value: u64) {
        self.bytes.extend_from_slice(&value.min(0xFFFF_FFFF_FFFF).to_le_bytes()[..6]);
    }

    /// A list: its length in two bytes, then its items. Callers keep lists under 65,536.
    pub fn list<V>(&mut self, items: &[V], mut write: impl FnMut(&mut Self, &V)) {
        let count = u16::try_from(items.len()).unwrap_or(u16::MAX);
        self.u16(count);
        for item in items.iter().take(usize::from(count)) {
            write(self, item);
        }
    }
}

/// Takes values from bytes, in order.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes }
    }

    /// The next `count` bytes.
    pub fn raw(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (head, tail) = self.bytes.split_at_checked(count).ok_or(Malformed)?;
        self.bytes = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.raw(N)?.try_into().map_err(|_| Malformed)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, Malformed> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Result<u16, Malformed> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Result<u32, Malformed> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Result<u64, Malformed> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Three bytes.
    pub fn u24(&mut self) -> Result<u32, Malformed> {
        let [a, b, c] = self.array()?;
        Ok(u32::from_le_bytes([a, b, c, 0]))
    }

    /// Six bytes.
    pub fn u48(&mut self) -> Result<u64, Malformed> {
        let [a, b, c, d, e, f] = self.array()?;
        Ok(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }

    /// A uuid.
    pub fn uuid(&mut self) -> Result<uuid::Uuid, Malformed> {
        Ok(uuid::Uuid::from_bytes(self.array()?))
    }

    /// A value that may be absent.
    pub fn option<V>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<V, Malformed>,
    ) -> Result<Option<V>, Malformed> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Malformed),
        }
    }

    /// A list written by [`Writer::list`].
    pub fn list<V>(
        &mut self,
        read: impl FnMut(&mut Self) -> Result<V, Malformed>,
    ) -> Result<Vec<V>, Malformed> {
        let mut list = Vec::new();
        self.list_over(&mut list, read)?;
        Ok(list)
    }

    /// The same, into the room of a list that is over.
    pub fn list_over<V>(
        &mut self,
        list: &mut Vec<V>,
        mut read: impl FnMut(&mut Self) -> Result<V, Malformed>,
    ) -> Result<(), Malformed> {
        list.clear();
        for _ in 0..self.u16()? {
            list.push(read(self)?);
        }
        Ok(())
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}
