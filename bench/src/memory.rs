//! An allocator that can count what is allocated and not yet freed.

#![expect(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use mimalloc::MiMalloc;

/// The product's allocator. It counts only while [`live`] runs: elsewhere the price is one load of
/// a flag that never changes, on the side of product and baseline alike.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;
static ON: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicI64 = AtomicI64::new(0);

fn count(bytes: usize, sign: i64) {
    if ON.load(Ordering::Relaxed) {
        LIVE.fetch_add(sign * bytes as i64, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed on to the product's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: the caller's promises are those of `MiMalloc`.
        unsafe { MiMalloc.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        // SAFETY: as above.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, old: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(layout.size(), -1);
        count(size, 1);
        // SAFETY: as above.
        unsafe { MiMalloc.realloc(old, layout, size) }
    }

    unsafe fn dealloc(&self, old: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: as above.
        unsafe { MiMalloc.dealloc(old, layout) }
    }
}

/// Runs `make` with a function that tells how many bytes are allocated more than at its beginning,
/// as asked for, without what the allocator adds. Other threads have to be idle meanwhile.
pub fn live<T>(make: impl FnOnce(&dyn Fn() -> i64) -> T) -> T {
    LIVE.store(0, Ordering::SeqCst);
    ON.store(true, Ordering::SeqCst);
    let made = make(&|| LIVE.load(Ordering::SeqCst));
    ON.store(false, Ordering::SeqCst);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_freed_does_not_count() {
        // Other tests allocate and free at the same time: only what is much larger than theirs is seen.
        const LARGE: i64 = 1 << 30;
        let (held, after) = live(|bytes| {
            let mut large = Vec::<u8>::with_capacity(1 << 29);
            large.reserve_exact(1 << 30);
            let held = bytes();
            drop(large);
            (held, bytes())
        });
        assert!((held - LARGE).abs() < LARGE / 4, "{held}");
        assert!(after.abs() < LARGE / 4, "{after}");
    }
}
