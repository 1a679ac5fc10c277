//! Versions, and changes of what is kept beside the bytes.

use super::Bug;
use super::model::{Grown, Object, Version, lost, names, owned};
use holdall_plugin_api::{
    Bytes, Delete, Deleted, Error, ListVersions, ObjectInfo, ObjectVersion, ProviderFacts, Result,
    Update, VersionPage,
};

impl Grown {
    pub(crate) fn removed(&self, delete: &Delete<'_>) -> Result<Deleted> {
        let mut store = self.lock();
        let key = delete.key.text();
        if delete.must_exist {
            self.version(&store, delete.key, delete.version)?;
        }
        let Some(name) = delete.version else {
            if store.current(delete.key).is_none() {
                return Ok(Deleted::new(Some(false)));
            }
            if self.has(Bug::DeleteErasesHistory) {
                store.objects.remove(key);
                return Ok(Deleted::new(Some(true)));
            }
            store.changes += 1;
            let number = store.changes;
            let object = None;
            let versions = store.objects.entry(key.to_owned()).or_default();
            versions.push(Version { number, object });
            return Ok(Deleted::new(Some(true))
                .version(number.to_string())
                .marker(true));
        };
        let Some(versions) = store.objects.get_mut(key) else {
            return Ok(Deleted::new(Some(false)));
        };
        let is_named = |version: &Version| version.number.to_string() == name;
        let Some(mut at) = versions.iter().position(is_named) else {
            return Ok(Deleted::new(Some(false)));
        };
        if self.has(Bug::DeletesNewestVersion) {
            at = versions.len() - 1;
        }
        let is_marker = versions[at].object.is_none();
        if !(is_marker && self.has(Bug::MarkerStays)) {
            versions.remove(at);
        }
        if versions.is_empty() {
            store.objects.remove(key);
        }
        Ok(Deleted::new(Some(true))
            .version(name.to_owned())
            .marker(is_marker))
    }

    pub(crate) fn versions(&self, list: &ListVersions<'_>) -> Result<VersionPage> {
        let after = match list.page_token.map(|token| token.split_once(' ')) {
            None => None,
            Some(Some((number, key))) => Some((number.parse::<u64>().unwrap_or(0), key)),
            Some(None) => return Err(Error::invalid("token")),
        };
        let is_past = |key: &str, number: u64| {
            after.is_none_or(|(last, of)| {
                key > of || key == of && number < last && !self.has(Bug::VersionTokenIsKey)
            })
        };
        let delimiter = list
            .delimiter
            .filter(|_| !self.has(Bug::VersionGroupsIgnored));
        let store = self.lock();
        let mut page = VersionPage::default();
        let limit = list.limit.min(self.page) as usize;
        for (key, versions) in &store.objects {
            let Some(rest) = key.strip_prefix(list.prefix) else {
                continue;
            };
            if let Some(end) = delimiter.and_then(|delimiter| rest.find(delimiter)) {
                let group = key[..list.prefix.len() + end + 1].to_owned();
                if page.common_prefixes.last() != Some(&group) {
                    page.common_prefixes.push(group);
                }
                continue;
            }
            let newest = versions.len() - 1;
            let mut order: Vec<usize> = (0..versions.len()).rev().collect();
            if self.has(Bug::VersionsOldestFirst) {
                order.reverse();
            }
            for at in order {
                let version = &versions[at];
                if !is_past(key, version.number) {
                    continue;
                }
                if page.versions.len() == limit {
                    let last = page.versions.last();
                    page.next = last.map(|last| format!("{} {}", last.version, last.key));
                    return Ok(page);
                }
                let info = version.object.as_ref().map(|object| &object.info);
                page.versions.push(
                    ObjectVersion::new(
                        key,
                        version.number.to_string(),
                        info.map_or(0, |info| info.size),
                    )
                    .etag(info.and_then(|info| info.etag.clone()))
                    .latest(at == newest)
                    .delete_marker(info.is_none()),
                );
            }
        }
        Ok(page)
    }

    pub(crate) fn updated(&self, update: &Update<'_>) -> Result<ObjectInfo> {
        let mut store = self.lock();
        if store.current(update.key).is_none() && self.has(Bug::UpdateMakes) {
            let (bytes, info) = (Bytes::new(), ObjectInfo::new(0));
            store.publish(update.key, Object { bytes, info }, &self.host);
        }
        let before = self.version(&store, update.key, update.version)?.info;
        let other = update.if_match.is_some_and(|etag| !names(etag, &before));
        if other && !self.has(Bug::UpdateIgnoresIfMatch) {
            return Err(lost());
        }
        let mut info = before.clone();
        for (slot, new) in [
            (&mut info.content_type, update.content_type),
            (&mut info.cache_control, update.cache_control),
            (&mut info.content_disposition, update.content_disposition),
            (&mut info.content_encoding, update.content_encoding),
            (&mut info.content_language, update.content_language),
        ] {
            match new {
                Some(new) => *slot = new.map(str::to_owned),
                None if self.has(Bug::UpdateClearsOthers) => *slot = None,
                None => {}
            }
        }
        if let Some(metadata) = &update.metadata {
            if !self.has(Bug::UpdateMergesMetadata) {
                info.metadata.clear();
            }
            info.metadata.extend(owned(metadata));
        }
        if let Some(tags) = &update.tags {
            let mut all = match self.has(Bug::UpdateMergesTags) {
                true => info.tags().unwrap_or_default().to_vec(),
                false => Vec::new(),
            };
            all.extend(owned(tags));
            info = info.provider(ProviderFacts::new().tags(all));
        }
        store.changes += 1;
        info.etag = Some(format!("\"{}\"", store.changes));
        let versions = store.objects.get_mut(update.key.text());
        let mut objects = versions
            .into_iter()
            .flatten()
            .filter(|version| Some(version.number.to_string()) == info.version)
            .filter_map(|version| version.object.as_mut());
        objects.next().ok_or_else(Error::not_found)?.info = info.clone();
        Ok(match self.has(Bug::UpdateAnswersBefore) {
            true => before,
            false => info,
        })
    }
}
