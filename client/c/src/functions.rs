//! What `include/mainstay.h` declares, and says what it does. A test holds both against each other.
//!
//! Each function reads its pointers, calls a safe one, and writes what came of it. No panic gets past
//! `answer`, and none can come about outside of it.

#![expect(unsafe_code, reason = "C hands over pointers, and looks for functions by their names")]

use std::{
    cell::RefCell,
    ffi::{CStr, CString, OsStr, c_char, c_void},
    os::unix::ffi::OsStrExt as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    ptr,
    time::Duration,
};

use mainstay_client::{
    client,
    document::{Answer, Document, Exit},
};

use crate::session::{self, Refused, Session};

/// `mainstay_result`: an [`Exit`], as C's `enum` of so many values is represented.
pub type ResultCode = u32;

/// `mainstay_phase`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `MAINSTAY_DOWNLOADING`.
    Downloading = 1,
    /// `MAINSTAY_INSTALLING`.
    Installing = 2,
    /// `MAINSTAY_MAKING`.
    Making = 3,
}

/// `mainstay_progress`.
#[repr(C)]
#[derive(Debug)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// How many bytes of a download are here, or of a release are made.
    pub received: u64,
    /// How many there will be.
    pub length: u64,
    /// What is being installed, or null.
    pub version: *const c_char,
}

/// `mainstay_progress_callback`, which may be null.
pub type ProgressCallback = Option<unsafe extern "C" fn(*const Progress, *mut c_void)>;

/// Opens an installation.
///
/// # Safety
///
/// `root` is null or a string that is ended by NUL, `client` null or where a pointer can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mainstay_open(
    root: *const c_char,
    lock_wait_seconds: u32,
    client: *mut *mut Session,
) -> ResultCode {
    let mut opened = ptr::null_mut();
    let (_, result) = answer(|| {
        if client.is_null() {
            return Err(Refused::Usage("client: expected where to put it, found NULL"));
        }
        // SAFETY: the caller answers for `root`.
        let root = unsafe { path(root) }?;
        let wait = Duration::from_secs(lock_wait_seconds.into());
        opened = Box::into_raw(Box::new(Session::open(root, wait)?));
        Ok((Document::default(), Exit::Done))
    });
    if !client.is_null() {
        // SAFETY: the caller answers for `client`, which is not null.
        unsafe { client.write(opened) };
    }
    result
}

/// Checks.
///
/// # Safety
///
/// `client` is null or open, `document` null or where a pointer can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mainstay_check(
    client: *mut Session,
    document: *mut *mut c_char,
) -> ResultCode {
    // SAFETY: the caller answers for both.
    unsafe { told(client, document, Session::check) }
}

/// Downloads what the last check has found.
///
/// # Safety
///
/// As of [`mainstay_check`]; `progress` is null or a function that may be called with `context`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mainstay_fetch(
    client: *mut Session,
    progress: ProgressCallback,
    context: *mut c_void,
    document: *mut *mut c_char,
) -> ResultCode {
    // SAFETY: the caller answers for all of them.
    unsafe { told(client, document, |session| session.fetch(&mut show(progress, context))) }
}

/// Does what the last check has found.
///
/// # Safety
///
/// As of [`mainstay_fetch`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mainstay_apply(
    client: *mut Session,
    progress: ProgressCallback,
    context: *mut c_void,
    document: *mut *mut c_char,
) -> ResultCode {
    // SAFETY: the caller answers for all of them.
    unsafe { told(client, document, |session| session.apply(&mut show(progress, context))) }
}

/// Checks, and does what that has found.
///
/// # Safety
///
/// As of [`mainstay_fetch`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mainstay_update(
    client: *mut Session,
    progress: ProgressCallback,
    context: *mut c_void,
    document: *mut *mut c_char,
) -> ResultCode {
    // SAFETY: the caller answers for all of them.
    unsafe { told(client, document, |session| session.update(&mut show(progress, context))) }
}

/// Says that the version on probation works.
///
/// # Safety
///
/// As of [`mainstay_check`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mainstay_confirm(
    client: *mut Session,
    document: *mut *mut c_char,
) -> ResultCode {
    // SAFETY: the caller answers for both.
    unsafe { told(client, document, Session::confirm) }
}

/// Goes back.
///
/// # Safety
///
/// As of [`mainstay_fetch`]; `version` is null or a string that is ended by NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mainstay_roll_back(
    client: *mut Session,
    version: *const c_char,
    progress: ProgressCallback,
    context: *mut c_void,
    document: *mut *mut c_char,
) -> ResultCode {
    let verb = |session: &Session| {
        // SAFETY: the caller answers for `version`.
        let version = unsafe { bytes(version) }.map(str::from_utf8).transpose();
        let version = version.map_err(|_| Refused::Usage("version: expected UTF-8"))?;
        // SAFETY: the caller answers for `progress` and `context`.
        let mut show = unsafe { show(progress, context) };
        session.roll_back(version, &mut show)
    };
    // SAFETY: the caller answers for both.
    unsafe { told(client, document, verb) }
}

/// What is known about a machine.
///
/// # Safety
///
/// `root` is null or a string that is ended by NUL, `document` null or where a pointer can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mainstay_status(
    root: *const c_char,
    document: *mut *mut c_char,
) -> ResultCode {
    let (text, result) = answer(|| {
        // SAFETY: the caller answers for `root`.
        session::status(unsafe { path(root) }?)
    });
    // SAFETY: the caller answers for `document`.
    unsafe { put(document, text) };
    result
}

/// Ends what is being fetched. Nothing but an atomic store: no lock, no memory, nothing of the thread's.
///
/// # Safety
///
/// `client` is null or open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mainstay_cancel(client: *const Session) -> ResultCode {
    // SAFETY: the caller answers for `client`.
    match unsafe { client.as_ref() } {
        Some(session) => {
            session.cancel();
            code(Exit::Done)
        }
        None => code(Exit::Usage),
    }
}

/// Closes the client, and forgets where it was.
///
/// # Safety
///
/// `client` is null or points to null or to an open client.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mainstay_close(client: *mut *mut Session) -> ResultCode {
    let (_, result) = answer(|| {
        if client.is_null() {
            return Err(Refused::Usage(NO_CLIENT));
        }
        // SAFETY: the caller answers for `client`, which is not null.
        let open = unsafe { client.read() };
        // SAFETY: the caller answers for what it points to.
        unsafe { open.as_ref() }.ok_or(Refused::Usage(NO_CLIENT))?.expect_idle()?;
        // SAFETY: as above.
        unsafe { client.write(ptr::null_mut()) };
        // SAFETY: `mainstay_open` made it, and nobody is at work on it.
        drop(unsafe { Box::from_raw(open) });
        Ok((Document::default(), Exit::Done))
    });
    result
}

/// What went wrong in the last function, or null.
#[unsafe(no_mangle)]
pub extern "C" fn mainstay_last_error() -> *const c_char {
    let last = LAST_ERROR.try_with(|last| last.borrow().as_ref().map(|error| error.as_ptr()));
    last.ok().flatten().unwrap_or(ptr::null())
}

/// Frees a document.
///
/// # Safety
///
/// `string` is null or a document that was not freed yet.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mainstay_string_free(string: *mut c_char) {
    if !string.is_null() {
        // SAFETY: `answer` made it, as the caller answers for.
        drop(unsafe { CString::from_raw(string) });
    }
}

const NO_CLIENT: &str = "client: expected an open one, found NULL";

thread_local! {
    static LAST_ERROR: RefCell<Option<CString>> = const { RefCell::new(None) };
}

/// Carries a verb out with an open client, and writes what came of it to `document`.
///
/// # Safety
///
/// As of [`mainstay_check`].
unsafe fn told(
    client: *mut Session,
    document: *mut *mut c_char,
    verb: impl FnOnce(&Session) -> Result<Answer, Refused>,
) -> ResultCode {
    let (text, result) = answer(|| {
        // SAFETY: the caller answers for `client`, which is shared: another thread, or the callback, may
        // come by it too.
        let session = unsafe { client.as_ref() }.ok_or(Refused::Usage(NO_CLIENT))?;
        verb(session)
    });
    // SAFETY: the caller answers for `document`.
    unsafe { put(document, text) };
    result
}

/// What came of `verb`, also where it panicked, as C has it; [`mainstay_last_error`] says it too.
fn answer(verb: impl FnOnce() -> Result<Answer, Refused>) -> (CString, ResultCode) {
    // Whatever a panic leaves half done is behind a lock, which is poisoned.
    let done = catch_unwind(AssertUnwindSafe(verb)).unwrap_or(Err(Refused::Panicked));
    let failed = done.is_err();
    let (document, exit) = done.unwrap_or_else(|refused| refused.answer());
    let sentence = document.message.as_deref().filter(|_| failed).map(text);
    // A thread that is about to end asks nothing more.
    let _ = LAST_ERROR.try_with(|last| *last.borrow_mut() = sentence);
    (text(&document.to_json()), code(exit))
}

fn code(exit: Exit) -> ResultCode {
    exit.code().into()
}

/// The text, up to a NUL if it has one: what servers say may have.
fn text(text: &str) -> CString {
    let text = text.split('\0').next().unwrap_or_default();
    CString::new(text).unwrap_or_default()
}

/// Hands `text` over to the caller, who frees it.
///
/// # Safety
///
/// `document` is null or where a pointer can be written.
unsafe fn put(document: *mut *mut c_char, text: CString) {
    if !document.is_null() {
        // SAFETY: the caller answers for `document`, which is not null.
        unsafe { document.write(text.into_raw()) };
    }
}

/// The bytes of a string, unless it is null.
///
/// # Safety
///
/// `string` is null or a string that is ended by NUL, and lives on for `'a`.
unsafe fn bytes<'a>(string: *const c_char) -> Option<&'a [u8]> {
    // SAFETY: the caller answers for `string`, which is not null here.
    (!string.is_null()).then(|| unsafe { CStr::from_ptr(string) }.to_bytes())
}

/// A path, in the system's own bytes.
///
/// # Safety
///
/// As of [`bytes`].
unsafe fn path<'a>(root: *const c_char) -> Result<&'a Path, Refused> {
    // SAFETY: the caller answers for `root`.
    let bytes = unsafe { bytes(root) };
    let bytes = bytes.ok_or(Refused::Usage("root: expected a directory, found NULL"))?;
    Ok(Path::new(OsStr::from_bytes(bytes)))
}

/// Tells C how far a verb has come.
///
/// # Safety
///
/// `progress` is null or a function that may be called with `context`, for as long as what this gives lives.
unsafe fn show(progress: ProgressCallback, context: *mut c_void) -> impl FnMut(client::Progress) {
    move |step| {
        let Some(callback) = progress else { return };
        let shown;
        let progress = match step {
            client::Progress::Downloading { received, length } => {
                Progress { phase: Phase::Downloading, received, length, version: ptr::null() }
            }
            client::Progress::Making { made: received, length } => {
                Progress { phase: Phase::Making, received, length, version: ptr::null() }
            }
            client::Progress::Installing { version } => {
                shown = text(&version.to_string());
                let version = shown.as_ptr();
                Progress { phase: Phase::Installing, received: 0, length: 0, version }
            }
            // The header says that there may be others, which this one does not know.
            _ => return,
        };
        // SAFETY: the caller answers for `callback` and `context`.
        unsafe { callback(&raw const progress, context) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last_error() -> Option<String> {
        LAST_ERROR
            .with(|last| last.borrow().as_ref().map(|error| error.to_string_lossy().into_owned()))
    }

    #[test]
    fn a_panic_is_a_result() {
        let (told, result) = answer(|| panic!("it happens"));
        assert_eq!(result, 1);
        assert!(told.to_string_lossy().contains("\"code\":\"panic\""), "{told:?}");
        assert_eq!(last_error().as_deref(), Some("a fault of the library's own: close the client"));
    }

    #[test]
    fn the_last_error_is_the_last_functions() {
        let (told, result) = answer(|| Err(Refused::Usage("not so")));
        assert_eq!(result, 2);
        assert!(told.to_string_lossy().contains("\"message\":\"not so\""), "{told:?}");
        assert_eq!(last_error().as_deref(), Some("not so"));
        let committed = Document { message: Some("done".to_owned()), ..Document::default() };
        assert_eq!(answer(|| Ok((committed, Exit::Done))).1, 0);
        assert_eq!(last_error(), None, "what is told of a success is no error");
    }

    #[test]
    fn text_ends_where_c_would_end_it() {
        assert_eq!(text("before\0after").as_c_str(), c"before");
    }
}
