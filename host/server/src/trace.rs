//! The trace that a request belongs to (W3C Trace Context), carried into the plugin's own log lines.

use http::HeaderMap;

/// Where a request stands in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Trace {
    pub(crate) trace_id: [u8; 16],
    /// This request's own span.
    pub(crate) span_id: [u8; 8],
}

impl Trace {
    /// The trace of the header `traceparent`; without a good one a new trace begins here. Ids are
    /// unlikely to meet, and no secrets: random bytes of the kernel would cost three calls a request.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get("traceparent");
        let trace_id = given
            .and_then(|value| value.to_str().ok())
            .and_then(trace_id_in)
            .unwrap_or_else(|| fastrand::u128(1..).to_be_bytes());
        Self {
            trace_id,
            span_id: fastrand::u64(1..).to_be_bytes(),
        }
    }

    /// 32 hexadecimal digits.
    pub(crate) fn id(&self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.trace_id))
    }
}

/// `version-traceid-parentid-flags`, all in lower-case hexadecimal digits; a later version may go on
/// behind a further `-`. Ids of zeroes mean nothing. (W3C Trace Context, 3.2.)
fn trace_id_in(header: &str) -> Option<[u8; 16]> {
    let lower = |text: &str| {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        text.bytes().all(digit)
    };
    let mut fields = header.split('-');
    let mut field = |digits: usize| {
        let field = fields.next()?;
        (field.len() == digits && lower(field)).then_some(field)
    };
    let (version, trace, parent, _flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
    if version == "ff" || (version == "00" && fields.next().is_some()) {
        return None;
    }
    let trace = u128::from_str_radix(trace, 16).ok()?;
    let parent = u64::from_str_radix(parent, 16).ok()?;
    (trace != 0 && parent != 0).then(|| trace.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard() {
        let id = 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes();
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_id_in(good), Some(id));
        assert_eq!(
            trace_id_in(&good.replacen("00", "cc", 1)),
            Some(id),
            "a later version"
        );
        assert_eq!(
            trace_id_in(&format!("{}-what-the-future", good.replacen("00", "cc", 1))),
            Some(id)
        );
        for bad in [
            "",
            "00",
            &good[..54],
            &format!("{good}-x"),
            &good.to_uppercase(),
            &good.replacen("00", "ff", 1),
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert_eq!(trace_id_in(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_trace_goes_on_or_begins() {
        let mut headers = HeaderMap::new();
        let (one, other) = (Trace::of(&headers), Trace::of(&headers));
        assert_ne!(one.trace_id, other.trace_id);
        let value = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.insert("traceparent", value.parse().unwrap());
        let (one, other) = (Trace::of(&headers), Trace::of(&headers));
        assert_eq!(one.id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(one.trace_id, other.trace_id);
        assert_ne!(one.span_id, other.span_id);
    }
}
