//! Properties of what serves at present, under each order of its threads that shuttle tries.

mod flight;
mod place;

const ORDERS: usize = 20_000;

fn model(run: impl Fn() + Send + Sync + 'static) {
    shuttle::check_random(run, ORDERS);
}
