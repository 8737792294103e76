//! A list that grows without moving what is in it, so that a big one is never twice its size.

/// How many elements are allocated at a time. A short list grows like any other.
const CHUNK: usize = 4_096;

#[derive(Debug)]
pub(super) struct Chunks<T>(Vec<Vec<T>>);

impl<T> Default for Chunks<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Chunks<T> {
    pub(super) fn push(&mut self, element: T) {
        if let Some(last) = self.0.last_mut()
            && last.len() < CHUNK
        {
            last.push(element);
            return;
        }
        let mut next = if self.0.is_empty() { vec![] } else { Vec::with_capacity(CHUNK) };
        next.push(element);
        self.0.push(next);
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let last = self.0.last_mut()?;
        let element = last.pop();
        if last.is_empty() {
            self.0.pop();
        }
        element
    }

    pub(super) fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * CHUNK + last.len())
    }

    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let index = index as usize;
        self.0.get(index / CHUNK)?.get(index % CHUNK)
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let index = index as usize;
        self.0.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_like_a_list() {
        let mut chunks = Chunks::default();
        assert_eq!((chunks.len(), chunks.get(0)), (0, None));
        let count = 2 * CHUNK as u32 + 7;
        for index in 0..count {
            assert_eq!(chunks.len(), index as usize);
            chunks.push(index);
        }
        *chunks.get_mut(CHUNK as u32).unwrap() = 1;
        assert_eq!(chunks.get(CHUNK as u32), Some(&1));
        assert_eq!(chunks.get(count - 1), Some(&(count - 1)));
        assert_eq!((chunks.get(count), chunks.get(u32::MAX)), (None, None));
        assert_eq!(chunks.iter().count(), count as usize);
        for index in (0..count).rev() {
            chunks.pop().unwrap();
            assert_eq!((chunks.len(), chunks.get(index)), (index as usize, None));
        }
        assert_eq!(chunks.pop(), None);
    }
}
