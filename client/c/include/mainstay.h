/*
 * The Mainstay client for C: checks, downloads, installs, confirms, rolls back.
 *
 *     cargo build --release -p mainstay-client-c
 *     cc -std=c11 program.c -Iclient/c/include -Ltarget/release -lmainstay_c
 *
 * Statically, with target/release/libmainstay_c.a, also -lpthread -ldl -lm. `client/c/examples/update.c`
 * is a whole program. The machine must be enrolled (`mainstay-agent enroll`).
 *
 * Documents. Most functions hand out what came of them as one JSON document, the very one that
 * `mainstay-agent --json` prints; the manual (Looking after machines) describes its members. It is handed
 * out whatever the result is, errors included, as a string that is ended by NUL and that the caller gives
 * to mainstay_string_free. Where `document` is NULL there is none.
 *
 * Threads. Everything blocks until it is done. A client may be used by any thread, by one at a time: a
 * function that is called while another one is at work on the same client, be it by another thread or by
 * the progress callback, does nothing and returns MAINSTAY_USAGE. Only mainstay_cancel may be called
 * meanwhile.
 *
 * Pointers. What is passed must be NULL or valid. NULL is refused (MAINSTAY_USAGE) where nothing else is
 * said. The library keeps no pointer that it was given, beyond the call.
 *
 * Processes. An installation runs the programs that its release names (health check, hooks) as child
 * processes and waits for them. A program that waits for all of its children, or ignores SIGCHLD, takes
 * their exit status away, and the release counts as failed.
 */
#ifndef MAINSTAY_H
#define MAINSTAY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * What came of a function: the exit codes of `mainstay-agent`. Those from 30 on, and 1, 2 and 17, are
 * errors, of which mainstay_last_error tells. There may be others one day.
 */
typedef enum mainstay_result {
    /* Done. */
    MAINSTAY_DONE = 0,
    /* Anything else went wrong: a fault of the library's own. Close the client. */
    MAINSTAY_OTHER = 1,
    /* What was passed was not understood (NULL, not UTF-8, not a version), or not now: while another
     * function is at work on the client, or before the one that it takes up. */
    MAINSTAY_USAGE = 2,
    /* Up to date, or nothing to confirm: nothing changed. */
    MAINSTAY_UP_TO_DATE = 10,
    /* An update is offered (mainstay_check). */
    MAINSTAY_UPDATE_OFFERED = 11,
    /* A rollback is ordered (mainstay_check, mainstay_fetch). */
    MAINSTAY_ROLLBACK_ORDERED = 12,
    /* Installed, and on probation until mainstay_confirm. */
    MAINSTAY_PROBATION = 13,
    /* The update failed its probation and was undone. */
    MAINSTAY_UNDONE = 14,
    /* Up to date, nothing changed; newer releases are withheld, and the document says why. */
    MAINSTAY_WITHHELD = 15,
    /* The release or the administrator's command asked to be tried again later; nothing changed. */
    MAINSTAY_DEFERRED = 16,
    /* The installed files are not those that were signed. */
    MAINSTAY_MODIFIED = 17,
    /* The release cannot be installed on this machine, and the document says what is missing. */
    MAINSTAY_MISSING = 18,
    /* Something is wrong with the installation; of `mainstay-agent doctor` alone. */
    MAINSTAY_UNWELL = 19,
    /* The machine is not enrolled. */
    MAINSTAY_NOT_ENROLLED = 30,
    /* Another program, or an agent, has the installation's lock. */
    MAINSTAY_LOCKED = 31,
    /* The server could not be reached. */
    MAINSTAY_NETWORK = 32,
    /* The server refused. */
    MAINSTAY_SERVER = 33,
    /* A document or an order broke a rule of this machine. */
    MAINSTAY_TRUST = 34,
    /* The disk, a permission, or another matter of this machine. */
    MAINSTAY_LOCAL = 35,
    /* What was asked for makes no sense: a rollback to what is not kept, say. */
    MAINSTAY_INPUT = 36,
    /* mainstay_cancel ended it; what has arrived is kept. */
    MAINSTAY_CANCELLED = 37
} mainstay_result;

/* How far a function has come. There may be other phases one day: skip those that you do not know. */
typedef enum mainstay_phase {
    /* Deltas or the artifact arrive: `received` of `length` bytes. */
    MAINSTAY_DOWNLOADING = 1,
    /* `version` is here, whole, and is switched on and checked. */
    MAINSTAY_INSTALLING = 2,
    /* A delta makes the release of what is installed: `received` of `length` bytes are made. */
    MAINSTAY_MAKING = 3
} mainstay_phase;

/* How far a function has come; valid until the callback returns. Later members may follow. */
typedef struct mainstay_progress {
    mainstay_phase phase;
    /* Of MAINSTAY_DOWNLOADING and MAINSTAY_MAKING, in bytes; otherwise 0. */
    uint64_t received;
    uint64_t length;
    /* Of MAINSTAY_INSTALLING; otherwise NULL. */
    const char *version;
} mainstay_progress;

/*
 * Told how far a function has come, on the thread that called that function, which goes on when it
 * returns. `context` is what was passed beside it. It must return: neither longjmp nor an exception.
 */
typedef void (*mainstay_progress_callback)(const mainstay_progress *progress, void *context);

/* An installation, which is locked for as long as the client is open. */
typedef struct mainstay_client mainstay_client;

/*
 * Opens the installation in the directory `root`, mends what a crash left, and undoes an update that was
 * not confirmed in time. Needs no server. Waits up to `lock_wait_seconds` for whoever has the lock. Where
 * the result is not MAINSTAY_DONE, *client is NULL.
 */
mainstay_result mainstay_open(const char *root, uint32_t lock_wait_seconds, mainstay_client **client);

/*
 * Asks the server for this machine's plan, verifies it, and looks whether the machine has what an update
 * requires. Changes nothing that runs. mainstay_fetch and mainstay_apply take up what it has found.
 */
mainstay_result mainstay_check(mainstay_client *client, char **document);

/*
 * Downloads what mainstay_check has found is to be installed; nothing where it is here already, or where
 * there is nothing. A download that is broken off goes on with what has arrived, the next time. `progress`
 * may be NULL, here and below.
 */
mainstay_result mainstay_fetch(mainstay_client *client, mainstay_progress_callback progress,
                               void *context, char **document);

/*
 * Does what mainstay_check has found is to be done: downloads what is not here yet, installs it, and lets
 * it be checked; or rolls back. What mainstay_check has found is used up then. The program that calls it
 * is still the old one: it goes on as the new one when it executes what is in <root>/current.
 */
mainstay_result mainstay_apply(mainstay_client *client, mainstay_progress_callback progress,
                               void *context, char **document);

/* mainstay_check and mainstay_apply in one. */
mainstay_result mainstay_update(mainstay_client *client, mainstay_progress_callback progress,
                                void *context, char **document);

/*
 * Says that the version on probation works. MAINSTAY_UP_TO_DATE where none is: a program may confirm at
 * each of its starts. Needs no server.
 */
mainstay_result mainstay_confirm(mainstay_client *client, char **document);

/*
 * Goes back to `version`, or where that is NULL to the one that was confirmed last below what runs; an
 * update that is on probation is undone. The version that is left is not installed again. Needs no server,
 * unless files of the version that is kept were changed.
 */
mainstay_result mainstay_roll_back(mainstay_client *client, const char *version,
                                   mainstay_progress_callback progress, void *context,
                                   char **document);

/*
 * What is known about the machine in the directory `root`. Needs neither server nor client: it takes no
 * lock, changes nothing, and works while another program is at work there.
 */
mainstay_result mainstay_status(const char *root, char **document);

/*
 * Ends what is being fetched with `client`, by whatever thread: the function at work returns
 * MAINSTAY_CANCELLED as soon as the connection has brought something more. An installation that has begun
 * comes to its end. It is not taken back: to go on, open another client.
 *
 * May be called in a signal handler. The client must not be closed meanwhile.
 */
mainstay_result mainstay_cancel(const mainstay_client *client);

/*
 * Closes the client, which unlocks the installation, and makes *client NULL. Where *client is NULL
 * already, or a function is at work on the client, it does nothing and returns MAINSTAY_USAGE. A copy of
 * the pointer must not be used afterwards; that cannot be noticed.
 */
mainstay_result mainstay_close(mainstay_client **client);

/*
 * What went wrong in the last function that this thread called, in a sentence; NULL where nothing did.
 * Valid until this thread calls the next one. mainstay_cancel, mainstay_string_free and this one do not
 * count.
 */
const char *mainstay_last_error(void);

/* Frees a document. NULL is no document, and nothing is done. */
void mainstay_string_free(char *string);

#ifdef __cplusplus
}
#endif

#endif
