/*
 * Looks after one installation:
 *
 *     update DIR [check | fetch | update | confirm | roll-back [VERSION] | status]
 *
 * Without a verb it checks, downloads and installs, one after the other. Documents go to standard output,
 * one a line; how far it has come goes to standard error. SIGINT ends a download. The exit status is the
 * result, as of `mainstay-agent`.
 */
#define _POSIX_C_SOURCE 200809L /* sigaction */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mainstay.h"

/* For the handler of the signal; open for as long as that may be called. */
static mainstay_client *client;

static void on_interrupt(int number)
{
    (void)number;
    mainstay_cancel(client);
}

static void show(const mainstay_progress *progress, void *context)
{
    unsigned *steps = context;

    (*steps)++;
    switch (progress->phase) {
    case MAINSTAY_DOWNLOADING:
        fprintf(stderr, "downloading: %llu of %llu bytes\n",
                (unsigned long long)progress->received, (unsigned long long)progress->length);
        break;
    case MAINSTAY_INSTALLING:
        fprintf(stderr, "installing %s\n", progress->version);
        break;
    default:
        break;
    }
}

/* Prints what came of a function, and passes its result on. */
static mainstay_result told(mainstay_result result, char **document)
{
    puts(*document);
    mainstay_string_free(*document);
    *document = NULL;
    return result;
}

static mainstay_result run(const char *verb, const char *version)
{
    char *document = NULL;
    unsigned steps = 0;
    mainstay_result result = MAINSTAY_USAGE;

    if (strcmp(verb, "check") == 0 || strcmp(verb, "fetch") == 0 || strcmp(verb, "all") == 0) {
        result = mainstay_check(client, &document);
        if (strcmp(verb, "check") == 0 || result != MAINSTAY_UPDATE_OFFERED)
            return told(result, &document);
        told(result, &document);
        result = told(mainstay_fetch(client, show, &steps, &document), &document);
        if (strcmp(verb, "fetch") == 0 || result != MAINSTAY_DONE)
            return result;
        result = told(mainstay_apply(client, show, &steps, &document), &document);
        fprintf(stderr, "%u steps\n", steps);
        return result;
    }
    if (strcmp(verb, "update") == 0)
        return told(mainstay_update(client, show, &steps, &document), &document);
    if (strcmp(verb, "confirm") == 0)
        return told(mainstay_confirm(client, &document), &document);
    if (strcmp(verb, "roll-back") == 0)
        return told(mainstay_roll_back(client, version, show, &steps, &document), &document);
    fprintf(stderr, "%s: expected a verb\n", verb);
    return result;
}

int main(int count, char **words)
{
    const char *verb = count > 2 ? words[2] : "all";
    struct sigaction action;
    mainstay_result result;
    char *document = NULL;

    if (count < 2) {
        fprintf(stderr, "expected the directory of an installation\n");
        return MAINSTAY_USAGE;
    }
    if (strcmp(verb, "status") == 0)
        return told(mainstay_status(words[1], &document), &document);

    result = mainstay_open(words[1], 10, &client);
    if (result != MAINSTAY_DONE) {
        fprintf(stderr, "%s\n", mainstay_last_error());
        return result;
    }
    memset(&action, 0, sizeof action);
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, NULL);

    result = run(verb, count > 3 ? words[3] : NULL);

    signal(SIGINT, SIG_DFL);
    mainstay_close(&client);
    return result;
}
