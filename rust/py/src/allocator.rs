//! The allocator of the extension module: large blocks come from the system and go back to it.
//!
//! The C library keeps freed memory. Once a block of some size has been freed, it serves blocks of
//! that size from its own heap, where a single small block that lives on top keeps all below it
//! from the system: after a million tasks were cancelled, most of their memory stayed resident. So
//! blocks from [`LARGE`] on are mapped here, one by one. Freeing one returns its memory at once, and
//! growing one moves its pages to another address and copies nothing.
//!
//! Smaller blocks go to the system's allocator, and so do all blocks on systems other than Linux.
//!
//! A block of a whole number of huge pages (2 MiB) is aligned to them, and the system is asked to
//! use them. The core asks for such blocks for segments that it is about to fill; whoever asks for
//! a block of that size and may use little of it should ask for one item more. Where huge pages are
//! off this changes nothing.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;

/// Blocks of so many bytes or more are mapped one by one: the least for which the C library would
/// do the same, if nothing had been freed before.
const LARGE: usize = 128 << 10;

/// No mapping is aligned to more than this.
const PAGE: usize = 4096;

/// The size of a huge page.
const HUGE_PAGE: usize = 2 << 20;

/// See the module's documentation.
pub(crate) struct Allocator;

/// Whether a block has a mapping of its own. Only the layout decides, so that whoever frees a block
/// knows how it was made.
#[inline]
const fn is_mapped(size: usize, align: usize) -> bool {
    size >= LARGE && align <= PAGE
}

/// A mapping of so many zeros, or null.
fn map(size: usize) -> *mut u8 {
    // SAFETY: a new private mapping, at an address that the system chooses, overlaps no other.
    let block = unsafe {
        libc::mmap(
            ptr::null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if block == libc::MAP_FAILED { ptr::null_mut() } else { block.cast() }
}

/// Gives a part of a mapping back: whole pages that nobody uses any more.
///
/// # Safety
/// The part came from [`map`] and nothing refers to it.
unsafe fn unmap(block: *mut u8, size: usize) {
    if size > 0 {
        // SAFETY: as the caller promises. It fails only if the process has too many mappings to
        // split one, and then the memory stays mapped.
        unsafe { libc::munmap(block.cast(), size) };
    }
}

/// A mapping of whole huge pages, or null.
#[cold]
fn map_huge(size: usize) -> *mut u8 {
    // Newer systems align such mappings by themselves.
    let mut block = map(size);
    if !block.is_null() && !block.addr().is_multiple_of(HUGE_PAGE) {
        // SAFETY: it was just made, and nobody has seen it.
        unsafe { unmap(block, size) };
        block = map(size + HUGE_PAGE);
        if block.is_null() {
            return map(size);
        }
        let before = block.addr().next_multiple_of(HUGE_PAGE) - block.addr();
        let first = block;
        block = block.wrapping_add(before);
        // SAFETY: both parts are beside the block, within the mapping that was just made.
        unsafe {
            unmap(first, before);
            unmap(block.wrapping_add(size), HUGE_PAGE - before);
        }
    }
    if !block.is_null() {
        // SAFETY: advice about the mapping that was just made. Without effect if it is refused.
        unsafe { libc::madvise(block.cast(), size, libc::MADV_HUGEPAGE) };
    }
    block
}

fn allocate_mapped(size: usize) -> *mut u8 {
    if size.is_multiple_of(HUGE_PAGE) { map_huge(size) } else { map(size) }
}

// SAFETY: a block is either the system allocator's or a mapping of its own, which is aligned to a
// page and at least as long as asked for; `is_mapped` says which, and always the same of a layout.
// Nothing here panics.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout.size(), layout.align()) {
            return allocate_mapped(layout.size());
        }
        // SAFETY: the caller's promises are those of the inner call.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_mapped(layout.size(), layout.align()) {
            return allocate_mapped(layout.size());
        }
        // SAFETY: the caller's promises are those of the inner call.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_mapped(layout.size(), layout.align()) {
            // SAFETY: it came from `allocate_mapped`, and the caller gives it up.
            return unsafe { unmap(block, layout.size()) };
        }
        // SAFETY: the caller's promises are those of the inner call.
        unsafe { System.dealloc(block, layout) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let is_large = is_mapped(size, layout.align());
        match (is_mapped(layout.size(), layout.align()), is_large) {
            // SAFETY: the caller's promises are those of the inner call.
            (false, false) => unsafe { System.realloc(block, layout, size) },
            // SAFETY: the mapping is as long as the layout says, up to the end of its last page.
            (true, true) => unsafe { remap(block, layout.size(), size) },
            // SAFETY: as the caller promises.
            _ => unsafe { self.copied(block, layout, size) },
        }
    }
}

impl Allocator {
    /// Moves a block from one kind of memory to the other.
    ///
    /// # Safety
    /// As of `realloc`.
    #[cold]
    unsafe fn copied(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size fits the alignment and is not 0. The blocks are
        // different ones, and at least as long as what is copied.
        unsafe {
            let other = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !other.is_null() {
                ptr::copy_nonoverlapping(block, other, layout.size().min(size));
                self.dealloc(block, layout);
            }
            other
        }
    }
}

/// Makes a mapping longer or shorter, at another address if need be; null if it cannot be.
///
/// # Safety
/// The block is a mapping of that size, and the caller forgets it if another is returned.
#[cold]
unsafe fn remap(block: *mut u8, former: usize, size: usize) -> *mut u8 {
    // SAFETY: as the caller promises.
    let block = unsafe { libc::mremap(block.cast(), former, size, libc::MREMAP_MAYMOVE) };
    if block == libc::MAP_FAILED { ptr::null_mut() } else { block.cast() }
}
