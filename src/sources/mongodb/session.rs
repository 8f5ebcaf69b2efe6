//! The connection to a collection, and its documents in the order of the cursor, a page at a time.

use std::time::Duration;

use mongodb::bson::{Bson, DateTime, Document, Timestamp, doc};
use mongodb::options::{ClientOptions, Credential, ReadConcern};
use mongodb::{Client, ClientSession, Collection as Documents};

use super::document::shown;
use super::document_line::DocumentLine;
use super::fault::fault_of;
use super::filter::{Filter, key_bytes};
use crate::catalog::source::kinds::mongodb::Collection;
use crate::catalog::source::secret::Secret;
use crate::sources::fetch::FetchError;
use crate::sources::rounds::cursor::CursorType;
use crate::sources::rounds::page::{Page, PageBuilder};
use crate::sources::rounds::{Bounds, Extent, Rows, WithoutPlace};

/// How long a server may take to answer that it is there.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A date further ahead of the server's clock is no time at which a document was written.
const AHEAD_MS: i64 = 86_400_000;

/// A client, with the collection that it reads.
pub struct Session {
    documents: Documents<Document>,
    /// Each read sees all that an earlier one saw, also where another server has become the primary.
    causal: ClientSession,
    definition: Collection,
    filter: Filter,
}

/// The clock of a server.
#[derive(Clone, Copy, Debug)]
pub struct ServerTime {
    /// By its machine's clock.
    pub now: DateTime,
    /// Its newest operation; none of a server that stands alone.
    pub operation: Option<Timestamp>,
}

impl ServerTime {
    /// The newest date that is taken for a time.
    pub fn latest(&self) -> DateTime {
        DateTime::from_millis(self.now.timestamp_millis().saturating_add(AHEAD_MS))
    }
}

impl Session {
    pub fn documents(&self) -> &Documents<Document> {
        &self.documents
    }

    /// The server's clock. What was done before is seen by every later read.
    pub async fn server_time(&mut self) -> mongodb::error::Result<ServerTime> {
        let database = self.documents.client().database("admin");
        let hello = database.run_command(doc! { "hello": 1 });
        let hello = hello.session(&mut self.causal).await?;
        Ok(ServerTime {
            now: hello.get_datetime("localTime").copied().unwrap_or(DateTime::MAX),
            operation: self.causal.operation_time(),
        })
    }

    /// Documents that have no place in the order.
    pub async fn without_place(&mut self) -> mongodb::error::Result<WithoutPlace> {
        let filter = self.filter.without_place();
        let count = self.documents.count_documents(filter.clone());
        let rows = count.session(&mut self.causal).await?;
        let mut key = None;
        if rows > 0 {
            let one = self.documents.find_one(filter).projection(doc! { "_id": 1 });
            let one = one.session(&mut self.causal).await?;
            key = one.as_ref().and_then(|document| document.get("_id")).map(shown);
        }
        Ok(WithoutPlace { rows, key })
    }

    async fn extent_from(&mut self, start: i128) -> Result<Extent, FetchError> {
        let definition = self.definition.clone();
        let fault = |error| fault_of(&definition, &error);
        let latest = self.server_time().await.map_err(fault)?.latest();
        let within = self.filter.within(start, latest);
        let newest = self.documents.find_one(within).sort(self.filter.newest_first());
        let newest = newest.projection(doc! { self.filter.path(): 1 });
        let newest = newest.session(&mut self.causal).await.map_err(fault)?;
        let place_of = |document: Document| self.filter.cursor_of(&document).ok_or_else(|| self.no_place(&document));
        let newest = newest.map(place_of).transpose()?;
        let ahead = self.documents.count_documents(self.filter.ahead(latest));
        Ok(Extent {
            newest,
            ahead: ahead.session(&mut self.causal).await.map_err(fault)?,
            without_place: self.without_place().await.map_err(fault)?,
        })
    }

    async fn read_page(&mut self, bounds: &Bounds, mut page: PageBuilder<'_>) -> Result<Page, FetchError> {
        let fault = |error| fault_of(&self.definition, &error);
        let find = self
            .documents
            .find(self.filter.page(bounds))
            .sort(self.filter.oldest_first());
        let find = find.limit(i64::from(bounds.rows)).session(&mut self.causal);
        let mut documents = find.await.map_err(fault)?;
        let line = DocumentLine::new(&self.definition.columns);
        let (mut last, mut key) = (None, Bson::Null);
        while documents.advance(&mut self.causal).await.map_err(fault)? {
            let document = documents.deserialize_current().map_err(fault)?;
            let Some(cursor) = self.filter.cursor_of(&document) else {
                return Err(self.no_place(&document));
            };
            (last, key) = (Some(cursor), document.get("_id").cloned().unwrap_or(Bson::Null));
            if page.add(cursor, |bytes| line.write(bytes, &document)).is_break() {
                break;
            }
        }
        if last.is_none() {
            self.check_collection().await?;
        }
        let last = last.map(|cursor| (cursor, key_bytes(&key)));
        Ok(page.finish(last, shown(&key), bounds.rows))
    }

    /// A collection that was dropped looks like one without documents.
    async fn check_collection(&self) -> Result<(), FetchError> {
        let database = self.documents.client().database(&self.definition.database);
        let name = &self.definition.collection;
        let named = database.list_collection_names().filter(doc! { "name": name }).await;
        if named.map_err(|error| fault_of(&self.definition, &error))?.is_empty() {
            return Err(FetchError::NeedsPerson(format!(
                "{}: there is no collection {}; correct `database` and `collection`",
                self.definition.place(),
                self.definition.name()
            )));
        }
        Ok(())
    }

    /// A document that the server finds by a date that is not where the path leads.
    fn no_place(&self, document: &Document) -> FetchError {
        FetchError::NeedsPerson(format!(
            "{}: the document with _id {} has no single date in {}; correct it",
            self.definition.name(),
            document.get("_id").map(shown).unwrap_or_default(),
            self.definition.cursor
        ))
    }
}

impl Rows for Session {
    type Definition = Collection;

    async fn open(definition: &Collection, password: Option<&Secret>) -> Result<Self, FetchError> {
        let fault = |error| fault_of(definition, &error);
        let options = client_options(definition, password).await.map_err(fault)?;
        let client = Client::with_options(options).map_err(fault)?;
        let database = client.database(&definition.database);
        let is_view = doc! { "name": &definition.collection, "type": "view" };
        if definition.watch
            && !database
                .list_collection_names()
                .filter(is_view)
                .await
                .map_err(fault)?
                .is_empty()
        {
            return Err(FetchError::NeedsPerson(format!(
                "{}: {} is a view, which has no change stream; remove `watch`, or name the collection",
                definition.place(),
                definition.name()
            )));
        }
        let session = Self {
            documents: database.collection(&definition.collection),
            causal: client.start_session().causal_consistency(true).await.map_err(fault)?,
            filter: Filter::new(&definition.cursor),
            definition: definition.clone(),
        };
        session.check_collection().await?;
        Ok(session)
    }

    fn cursor_type(&self) -> CursorType {
        CursorType::Instant
    }

    async fn extent(&mut self, start: i128) -> Result<Extent, FetchError> {
        let extent = self.extent_from(start).await?;
        if extent.newest.is_none() {
            self.check_collection().await?;
        }
        Ok(extent)
    }

    async fn page(&mut self, bounds: &Bounds, page: PageBuilder<'_>) -> Result<Page, FetchError> {
        self.read_page(bounds, page).await
    }
}

/// Reads what a majority of the servers has: what one alone has may be taken back when another becomes the primary.
async fn client_options(definition: &Collection, password: Option<&Secret>) -> mongodb::error::Result<ClientOptions> {
    let (url, user) = without_user(&definition.url);
    let mut options = ClientOptions::parse(url).await?;
    options.app_name = Some("tallybook".to_owned());
    options.server_selection_timeout.get_or_insert(CONNECT_LIMIT);
    options.connect_timeout.get_or_insert(CONNECT_LIMIT);
    options.read_concern = Some(ReadConcern::majority());
    if let (Some(user), Some(password)) = (user, password) {
        let mut credential = options.credential.take().unwrap_or_default();
        credential.username = Some(user);
        credential.password = Some(password.reveal().to_owned());
        credential.source = credential.source.or_else(|| options.default_database.clone());
        options.credential = Some(credential);
    } else {
        options.credential = None::<Credential>;
    }
    Ok(options)
}

/// The URL without its user, and the user: the driver takes no user without a password.
fn without_user(url: &str) -> (String, Option<String>) {
    let Some((scheme, rest)) = url.split_once("://") else {
        return (url.to_owned(), None);
    };
    match rest.split_once('@') {
        Some((user, place)) => (format!("{scheme}://{place}"), Some(percent_decoded(user))),
        None => (url.to_owned(), None),
    }
}

/// A user may have any sign, written as % and two digits; what is none stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let digits = tail.first_chunk::<2>().filter(|_| *first == b'%');
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[2..] } else { tail };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_stands_apart_from_the_url() {
        for (url, without, user) in [
            ("mongodb://h:27017/", "mongodb://h:27017/", None),
            (
                "mongodb://a%40b@h/?authSource=x",
                "mongodb://h/?authSource=x",
                Some("a@b"),
            ),
            ("mongodb+srv://u%@h", "mongodb+srv://h", Some("u%")),
        ] {
            assert_eq!(without_user(url), (without.to_owned(), user.map(str::to_owned)));
        }
    }
}
