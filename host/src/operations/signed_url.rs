//! `signed_url`.

use super::calls;
use super::{fault, may_write, quota};
use crate::backend::Backend;
use crate::policy::Refusal;
use holdall_plugin_api::{Error, Method, Operation, Result, SignUrl, SignedUrl, Signing};
use std::pin::pin;
use std::time::{Duration, SystemTime};

/// Clocks of a provider may be a little ahead of ours.
const CLOCK_SLACK: Duration = Duration::from_secs(5);

impl Backend {
    /// Makes a URL that works without credentials, for one object, one method and a bounded time.
    ///
    /// The store signs when it can bind everything that is asked; otherwise the host's gateway does.
    /// With a quota, a PUT of bounded size is signed by the gateway, and reserves that size until it is used or
    /// expires. No constraint is dropped. `expires_at` is the URL's own truth and never later than asked.
    ///
    /// ```no_run
    /// # async fn example(photos: holdall::Backend) -> holdall::Result<()> {
    /// use holdall::{Method, SignUrl};
    /// use std::time::Duration;
    ///
    /// let sign = SignUrl::new(Method::Get, "2026/cat.txt", Duration::from_secs(900));
    /// println!("{}", photos.signed_url(sign).await?.url);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// - `InvalidArgument`: a life outside 1 second to 7 days, or a constraint of another method.
    /// - `FileNotFound`: `must_exist`, and there is no such object.
    /// - `QuotaExceeded`: a PUT whose bounded size does not fit.
    /// - `ConfigInvalid`: the store cannot sign this and no gateway key is configured; the fact
    ///   `fix` has the lines to add.
    pub async fn signed_url(&self, mut sign: SignUrl<'_>) -> Result<SignedUrl> {
        let scope = self.scope(Operation::SignedUrl, Some(sign.key));
        scope
            .run(pin!(async {
                let opened = scope.opened().await?;
                opened.terms.sign(&sign)?;
                if sign.must_exist && !calls::exists(&scope, opened, sign.key).await? {
                    return Err(Error::not_found());
                }
                if matches!(sign.method, Method::Put | Method::Delete) {
                    may_write(&scope)?;
                }
                let native = match scope.guards() {
                    None => true,
                    Some(guards) => {
                        if sign.method == Method::Put {
                            let allowed = guards.may_declare(sign.content_type);
                            allowed.inspect_err(|_| scope.refused(Refusal::Types))?;
                            sign.max_size = guards.bound(sign.max_size);
                        }
                        guards.may_sign_natively(&sign)
                    }
                };
                if native && opened.terms.signs_natively(&sign) {
                    let latest = SystemTime::now().checked_add(sign.expires_in + CLOCK_SLACK);
                    let native = calls::signed_url(&scope, opened, sign.clone()).await?;
                    if let Signing::Url(url) = native {
                        return match latest {
                            Some(latest) if url.expires_at > latest => {
                                Err(fault("a signed URL that lives longer than was asked"))
                            }
                            _ => Ok(url),
                        };
                    }
                }
                let gateway = scope.context().gateway.load();
                let mut account = self.account();
                let signed = gateway.sign_for(self.name(), &sign, account)?;
                // Signed first: nothing is reserved for a request that is refused.
                match quota::reserve_for_url(&scope, &sign).await? {
                    None => Ok(signed),
                    reservation => {
                        account.reservation = reservation;
                        gateway.sign_for(self.name(), &sign, account)
                    }
                }
            }))
            .await
    }
}
