//! A configuration text that is overwritten once the plugin has read it.

/// A configuration that may hold secrets. Not a `String`: it is overwritten while the arguments of
/// `open` still point to it.
pub(super) struct ConfigText(*mut [u8]);

// SAFETY: owns its bytes, like a `Box`.
unsafe impl Send for ConfigText {}
// SAFETY: as above; only `open` uses it.
unsafe impl Sync for ConfigText {}

impl ConfigText {
    pub(super) fn new(text: String) -> Self {
        Self(Box::into_raw(text.into_bytes().into_boxed_slice()))
    }

    /// # Safety
    ///
    /// Not read after [`ConfigText::wipe`] as anything but zeroes, nor after the drop.
    pub(super) unsafe fn text<'a>(&self) -> &'a str {
        // SAFETY: alive by the contract, and never written but by `wipe`.
        let bytes = unsafe { &*self.0 };
        // SAFETY: made from a `String`; zeroes are UTF-8 too.
        unsafe { std::str::from_utf8_unchecked(bytes) }
    }

    pub(super) fn wipe(&self) {
        for index in 0..self.0.len() {
            let byte = self.0.cast::<u8>().wrapping_add(index);
            // Volatile, so that it happens although it is never read again.
            // SAFETY: inside the allocation.
            unsafe { byte.write_volatile(0) };
        }
    }
}

impl Drop for ConfigText {
    fn drop(&mut self) {
        self.wipe();
        // SAFETY: made by `new`, freed once.
        drop(unsafe { Box::from_raw(self.0) });
    }
}
