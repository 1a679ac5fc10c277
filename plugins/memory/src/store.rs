//! What is kept: the current objects, the versions before them, and the parts of uploads.

use crate::parts::Pending;
use holdall_plugin_api::{Bytes, Deleted, Error, ErrorKind, Key, ObjectInfo, Part, Result};
use std::collections::BTreeMap;
use std::time::SystemTime;

/// An object. Clones share the bytes, which are never written again.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) bytes: Bytes,
    pub(crate) info: ObjectInfo,
}

/// One version of an object.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) name: String,
    /// When it was made.
    pub(crate) made: SystemTime,
    /// `None`: a delete marker.
    pub(crate) object: Option<Object>,
}

#[derive(Debug, Default)]
pub(crate) struct MemoryStore {
    objects: BTreeMap<String, Object>,
    /// Every version of every key, the newest last, where versions are kept.
    history: Option<BTreeMap<String, Vec<Version>>>,
    /// Uploads in parts, by key and id.
    uploads: BTreeMap<(String, String), Pending>,
    /// The sum of all sizes, of versions and parts too.
    used: u64,
    /// Number of changes so far; an etag is the number of the change that created the object.
    changes: u64,
    shut_down: bool,
}

impl MemoryStore {
    pub(crate) fn new(keeps_versions: bool) -> Self {
        Self {
            history: keeps_versions.then(BTreeMap::new),
            ..Self::default()
        }
    }

    pub(crate) fn shut_down() -> Self {
        Self {
            shut_down: true,
            ..Self::default()
        }
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.shut_down
    }

    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    pub(crate) fn objects(&self) -> &BTreeMap<String, Object> {
        &self.objects
    }

    /// Every version; nothing where none are kept.
    pub(crate) fn history(&self) -> impl Iterator<Item = (&str, &[Version])> {
        let all = self.history.iter().flatten();
        all.map(|(key, versions)| (key.as_str(), versions.as_slice()))
    }

    pub(crate) fn get(&self, key: &Key) -> Result<&Object> {
        self.objects.get(key.text()).ok_or_else(Error::not_found)
    }

    /// A version, or the current one.
    pub(crate) fn version(&self, key: &Key, version: Option<&str>) -> Result<&Object> {
        let Some(name) = version else {
            return self.get(key);
        };
        let versions = self
            .history
            .as_ref()
            .and_then(|history| history.get(key.text()));
        let found = versions
            .into_iter()
            .flatten()
            .find(|version| version.name == name);
        found
            .and_then(|version| version.object.as_ref())
            .ok_or_else(Error::not_found)
    }

    /// Publishes an object.
    pub(crate) fn publish(
        &mut self,
        key: &Key,
        mut object: Object,
        now: SystemTime,
    ) -> &ObjectInfo {
        self.changes += 1;
        object.info.etag = Some(format!("\"{}\"", self.changes));
        object.info.last_modified = Some(now);
        self.used += object.info.size;
        match &mut self.history {
            Some(history) => {
                let name = self.changes.to_string();
                object.info.version = Some(name.clone());
                history
                    .entry(key.text().to_owned())
                    .or_default()
                    .push(Version {
                        name,
                        made: now,
                        object: Some(object.clone()),
                    });
            }
            None => {
                object.info.version = None;
                self.free(key);
            }
        }
        let slot = self.objects.entry(key.text().to_owned());
        &slot.insert_entry(object).into_mut().info
    }

    /// Removes the current object and its size from the quota.
    fn free(&mut self, key: &Key) -> Option<Object> {
        let object = self.objects.remove(key.text())?;
        self.used -= object.info.size;
        Some(object)
    }

    /// Removes the current object, by a delete marker where versions are kept; or one version.
    pub(crate) fn delete(&mut self, key: &Key, version: Option<&str>, now: SystemTime) -> Deleted {
        let Some(history) = &mut self.history else {
            return Deleted::new(Some(self.free(key).is_some()));
        };
        let Some(name) = version else {
            if self.objects.remove(key.text()).is_none() {
                return Deleted::new(Some(false));
            }
            self.changes += 1;
            let name = self.changes.to_string();
            let versions = history.entry(key.text().to_owned()).or_default();
            versions.push(Version {
                name: name.clone(),
                made: now,
                object: None,
            });
            return Deleted::new(Some(true)).version(name).marker(true);
        };
        let versions = history.entry(key.text().to_owned()).or_default();
        let place = versions.iter().position(|version| version.name == name);
        let removed = place.map(|place| versions.remove(place));
        let current = versions.last().and_then(|version| version.object.clone());
        if versions.is_empty() {
            history.remove(key.text());
        }
        match current {
            Some(object) => drop(self.objects.insert(key.text().to_owned(), object)),
            None => drop(self.objects.remove(key.text())),
        }
        let Some(removed) = removed else {
            return Deleted::new(Some(false));
        };
        self.used -= removed.object.as_ref().map_or(0, |object| object.info.size);
        Deleted::new(Some(true))
            .version(removed.name)
            .marker(removed.object.is_none())
    }

    /// Replaces what is kept beside the bytes of a version.
    pub(crate) fn change(
        &mut self,
        key: &Key,
        version: Option<&str>,
        mut info: ObjectInfo,
        now: SystemTime,
    ) -> Result<&ObjectInfo> {
        self.changes += 1;
        info.etag = Some(format!("\"{}\"", self.changes));
        info.last_modified = Some(now);
        let current = self.objects.get_mut(key.text());
        if let Some(current) = current
            && version.is_none_or(|version| current.info.version.as_deref() == Some(version))
        {
            current.info = info.clone();
        }
        if let Some(history) = &mut self.history {
            let name = info.version.clone().unwrap_or_default();
            let versions = history.get_mut(key.text()).into_iter().flatten();
            let mut objects = versions
                .filter(|version| version.name == name)
                .filter_map(|version| version.object.as_mut());
            objects.next().ok_or_else(Error::not_found)?.info = info;
        }
        self.version(key, version).map(|object| &object.info)
    }

    /// Whether `size` more bytes fit once the present object of this key is gone.
    pub(crate) fn check_quota(&self, key: &Key, size: u64, max_bytes: Option<u64>) -> Result<()> {
        let replaced = self.objects.get(key.text());
        let replaced = match self.history {
            // It stays.
            Some(_) => 0,
            None => replaced.map_or(0, |object| object.info.size),
        };
        self.fits(replaced, size, max_bytes)
    }

    fn fits(&self, replaced: u64, size: u64, max_bytes: Option<u64>) -> Result<()> {
        match max_bytes {
            Some(max) if (self.used - replaced).saturating_add(size) > max => Err(quota(max, size)),
            _ => Ok(()),
        }
    }

    /// Begins an upload in parts.
    pub(crate) fn begin(&mut self, key: &Key, id: &str, info: ObjectInfo, now: SystemTime) {
        let name = (key.text().to_owned(), id.to_owned());
        self.uploads.insert(name, Pending::new(info, now));
    }

    pub(crate) fn pending(&self, key: &Key, id: &str) -> Result<&Pending> {
        let name = (key.text().to_owned(), id.to_owned());
        self.uploads.get(&name).ok_or_else(Error::upload_not_found)
    }

    pub(crate) fn all_pending(&self) -> &BTreeMap<(String, String), Pending> {
        &self.uploads
    }

    /// Whether a part of this size fits in the place of an earlier one.
    pub(crate) fn check_part(
        &self,
        key: &Key,
        id: &str,
        number: u32,
        size: u64,
        max_bytes: Option<u64>,
    ) -> Result<()> {
        let replaced = self.pending(key, id)?.size_of(number);
        self.fits(replaced, size, max_bytes)
    }

    pub(crate) fn put_part(
        &mut self,
        key: &Key,
        id: &str,
        number: u32,
        bytes: Bytes,
        crc32c: Option<u32>,
        now: SystemTime,
    ) -> Result<Part> {
        let name = (key.text().to_owned(), id.to_owned());
        let pending = self
            .uploads
            .get_mut(&name)
            .ok_or_else(Error::upload_not_found)?;
        self.changes += 1;
        self.used -= pending.size_of(number);
        self.used += bytes.len() as u64;
        Ok(pending.put(number, bytes, crc32c, self.changes, now))
    }

    /// Forgets an upload and frees its parts.
    pub(crate) fn abort(&mut self, key: &Key, id: &str) -> Result<()> {
        let name = (key.text().to_owned(), id.to_owned());
        let pending = self
            .uploads
            .remove(&name)
            .ok_or_else(Error::upload_not_found)?;
        self.used -= pending.size();
        Ok(())
    }
}

pub(crate) fn quota(max: u64, requested: u64) -> Error {
    Error::new(ErrorKind::QuotaExceeded)
        .with_message("the backend's `max_bytes` are used up")
        .with_fact("scope", "backend")
        .with_fact("limit", max)
        .with_fact("requested", requested)
}

pub(crate) fn precondition_failed(why: &'static str) -> Error {
    Error::new(ErrorKind::PreconditionFailed).with_message(why)
}

pub(crate) fn names(etag: &str, info: &ObjectInfo) -> bool {
    etag == "*" || info.etag.as_deref() == Some(etag)
}
