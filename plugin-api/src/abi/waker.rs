//! Wakers across the boundary: rule R9.

use super::tables::{FfiCall, FfiContext, FfiWaker, FfiWakerTable};
use std::mem::ManuallyDrop;
use std::task::{Context, RawWaker, RawWakerVTable, Waker};

type Words = [*const std::ffi::c_void; 2];

// ---- the side that polls: a `Waker` as words

fn words(waker: &Waker) -> Words {
    [
        waker.data().cast(),
        std::ptr::from_ref(waker.vtable()).cast(),
    ]
}

/// # Safety
///
/// `data` came from [`words`] of a waker that is alive.
unsafe fn borrowed(data: *const Words) -> ManuallyDrop<Waker> {
    // SAFETY: readable by the contract.
    let [data, table] = unsafe { *data };
    // SAFETY: the second word was made from a `&'static RawWakerVTable`.
    let table = unsafe { &*table.cast::<RawWakerVTable>() };
    // SAFETY: both are of one waker, which is alive; `ManuallyDrop` leaves it to its owner.
    ManuallyDrop::new(unsafe { Waker::new(data.cast(), table) })
}

unsafe extern "C" fn clone(data: *const Words) -> FfiWaker {
    // SAFETY: R9.
    let waker = unsafe { borrowed(data) };
    FfiWaker {
        data: words(&ManuallyDrop::new((*waker).clone())),
        table: &TABLE,
    }
}

unsafe extern "C" fn wake_by_ref(data: *const Words) {
    // SAFETY: R9.
    unsafe { borrowed(data) }.wake_by_ref();
}

unsafe extern "C" fn drop_waker(data: *mut Words) {
    // SAFETY: R9: an owned waker, ended once.
    let mut waker = unsafe { borrowed(data) };
    // SAFETY: not used after this.
    unsafe { ManuallyDrop::drop(&mut waker) }
}

static TABLE: FfiWakerTable = FfiWakerTable {
    clone,
    wake_by_ref,
    drop: drop_waker,
};

/// Lends the waker of `cx`, and what the operation runs under, to the other side for one call.
pub fn lend<R>(
    cx: &Context<'_>,
    call: *const FfiCall,
    use_it: impl FnOnce(*const FfiContext) -> R,
) -> R {
    let data = words(cx.waker());
    let lent = FfiContext {
        data: &data,
        table: &TABLE,
        call,
    };
    use_it(&lent)
}

// ---- the side that is polled: words as a `Waker`

static BORROWED: RawWakerVTable = RawWakerVTable::new(
    |cx| {
        // SAFETY: R9: `cx` is the context of the call that is going on.
        let cx = unsafe { &*cx.cast::<FfiContext>() };
        // SAFETY: R9.
        let table = unsafe { &*cx.table };
        // SAFETY: R9.
        owned(unsafe { (table.clone)(cx.data) })
    },
    |_| {},
    |cx| {
        // SAFETY: R9: as above.
        let cx = unsafe { &*cx.cast::<FfiContext>() };
        // SAFETY: R9.
        let table = unsafe { &*cx.table };
        // SAFETY: R9.
        unsafe { (table.wake_by_ref)(cx.data) }
    },
    |_| {},
);

/// An owned waker of the other side; ends it once.
struct Owned(FfiWaker);

impl Owned {
    fn table(&self) -> &FfiWakerTable {
        // SAFETY: R9: the table outlives its wakers.
        unsafe { &*self.0.table }
    }

    fn wake_by_ref(&self) {
        // SAFETY: R9: an owned waker may be used from any thread.
        unsafe { (self.table().wake_by_ref)(&raw const self.0.data) }
    }

    fn duplicate(&self) -> FfiWaker {
        // SAFETY: R9.
        unsafe { (self.table().clone)(&raw const self.0.data) }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        let end = self.table().drop;
        // SAFETY: R9: owned, ended once.
        unsafe { end(&raw mut self.0.data) }
    }
}

fn owned(waker: FfiWaker) -> RawWaker {
    RawWaker::new(
        Box::into_raw(Box::new(Owned(waker))).cast_const().cast(),
        &OWNED,
    )
}

static OWNED: RawWakerVTable = RawWakerVTable::new(
    |waker| {
        // SAFETY: made by `owned`, alive.
        let waker = unsafe { &*waker.cast::<Owned>() };
        owned(waker.duplicate())
    },
    |waker| {
        // SAFETY: made by `owned`; waking by value ends it.
        let waker = unsafe { Box::from_raw(waker.cast::<Owned>().cast_mut()) };
        waker.wake_by_ref();
    },
    |waker| {
        // SAFETY: made by `owned`, alive.
        unsafe { &*waker.cast::<Owned>() }.wake_by_ref();
    },
    |waker| {
        // SAFETY: made by `owned`, ended here.
        drop(unsafe { Box::from_raw(waker.cast::<Owned>().cast_mut()) });
    },
);

/// Makes a `Context` of what the other side lent.
///
/// # Safety
///
/// `cx` follows R9 for the call.
pub unsafe fn with_context<R>(
    cx: *const FfiContext,
    use_it: impl FnOnce(&mut Context<'_>) -> R,
) -> R {
    // SAFETY: `BORROWED` only uses `cx` during this call, and clones own what they hold.
    let waker = ManuallyDrop::new(unsafe { Waker::new(cx.cast(), &BORROWED) });
    use_it(&mut Context::from_waker(&waker))
}
