/*
 * What a program may do wrong, and what it is told then: misuse ENROLLED NOWHERE, the first an
 * installation whose server cannot be reached, the second no installation.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mainstay.h"

static void expect(int holds, const char *what, int line)
{
    if (holds)
        return;
    fprintf(stderr, "line %d: %s; the last error is: %s\n", line, what,
            mainstay_last_error() ? mainstay_last_error() : "none");
    exit(EXIT_FAILURE);
}

#define EXPECT(what) expect((what), #what, __LINE__)

static int contains(const char *text, const char *part)
{
    return text != NULL && strstr(text, part) != NULL;
}

static void without_a_client(const char *nowhere)
{
    mainstay_client *client = (mainstay_client *)&client;
    char *document = NULL;

    EXPECT(mainstay_last_error() == NULL);
    EXPECT(mainstay_open(NULL, 0, &client) == MAINSTAY_USAGE);
    EXPECT(client == NULL);
    EXPECT(contains(mainstay_last_error(), "root: expected a directory, found NULL"));
    EXPECT(mainstay_open(nowhere, 0, NULL) == MAINSTAY_USAGE);
    EXPECT(mainstay_open(nowhere, 0, &client) == MAINSTAY_NOT_ENROLLED);
    EXPECT(client == NULL);
    EXPECT(contains(mainstay_last_error(), "mainstay-agent enroll"));
    EXPECT(mainstay_open("/\xff", 0, &client) == MAINSTAY_NOT_ENROLLED);

    EXPECT(mainstay_check(NULL, &document) == MAINSTAY_USAGE);
    EXPECT(contains(document, "\"outcome\":\"error\""));
    EXPECT(contains(document, "\"code\":\"usage\""));
    mainstay_string_free(document);
    EXPECT(mainstay_fetch(NULL, NULL, NULL, NULL) == MAINSTAY_USAGE);
    EXPECT(mainstay_apply(NULL, NULL, NULL, NULL) == MAINSTAY_USAGE);
    EXPECT(mainstay_update(NULL, NULL, NULL, NULL) == MAINSTAY_USAGE);
    EXPECT(mainstay_confirm(NULL, NULL) == MAINSTAY_USAGE);
    EXPECT(mainstay_roll_back(NULL, NULL, NULL, NULL, NULL) == MAINSTAY_USAGE);
    EXPECT(mainstay_status(NULL, NULL) == MAINSTAY_USAGE);
    EXPECT(mainstay_status(nowhere, &document) == MAINSTAY_NOT_ENROLLED);
    EXPECT(contains(document, "\"code\":\"not_enrolled\""));
    mainstay_string_free(document);
    EXPECT(mainstay_cancel(NULL) == MAINSTAY_USAGE);
    EXPECT(mainstay_close(NULL) == MAINSTAY_USAGE);
    EXPECT(mainstay_close(&client) == MAINSTAY_USAGE);
    mainstay_string_free(NULL);
}

static void with_a_client(const char *enrolled)
{
    mainstay_client *client = NULL, *other = NULL;
    char *document = NULL;

    EXPECT(mainstay_open(enrolled, 0, &client) == MAINSTAY_DONE);
    EXPECT(client != NULL);
    EXPECT(mainstay_last_error() == NULL);
    EXPECT(mainstay_open(enrolled, 0, &other) == MAINSTAY_LOCKED);
    EXPECT(other == NULL);
    EXPECT(mainstay_status(enrolled, &document) == MAINSTAY_DONE);
    EXPECT(contains(document, "\"outcome\":\"status\""));
    mainstay_string_free(document);

    EXPECT(mainstay_fetch(client, NULL, NULL, NULL) == MAINSTAY_USAGE);
    EXPECT(contains(mainstay_last_error(), "mainstay_check"));
    EXPECT(mainstay_apply(client, NULL, NULL, NULL) == MAINSTAY_USAGE);
    EXPECT(mainstay_confirm(client, &document) == MAINSTAY_UP_TO_DATE);
    EXPECT(contains(document, "\"outcome\":\"not_on_probation\""));
    mainstay_string_free(document);
    EXPECT(mainstay_last_error() == NULL);
    EXPECT(mainstay_roll_back(client, "2.4", NULL, NULL, NULL) == MAINSTAY_USAGE);
    EXPECT(mainstay_roll_back(client, "\xff", NULL, NULL, NULL) == MAINSTAY_USAGE);
    EXPECT(contains(mainstay_last_error(), "UTF-8"));
    EXPECT(mainstay_roll_back(client, "2.4.1", NULL, NULL, NULL) == MAINSTAY_INPUT);
    EXPECT(mainstay_check(client, NULL) == MAINSTAY_NETWORK);
    EXPECT(mainstay_update(client, NULL, NULL, NULL) == MAINSTAY_NETWORK);

    EXPECT(mainstay_cancel(client) == MAINSTAY_DONE);
    EXPECT(mainstay_cancel(client) == MAINSTAY_DONE);
    EXPECT(mainstay_check(client, &document) == MAINSTAY_CANCELLED);
    EXPECT(contains(document, "\"code\":\"cancelled\""));
    mainstay_string_free(document);

    EXPECT(mainstay_close(&client) == MAINSTAY_DONE);
    EXPECT(client == NULL);
    EXPECT(mainstay_close(&client) == MAINSTAY_USAGE);
    EXPECT(mainstay_open(enrolled, 0, &client) == MAINSTAY_DONE);
    EXPECT(mainstay_close(&client) == MAINSTAY_DONE);
}

int main(int count, char **words)
{
    EXPECT(count == 3);
    without_a_client(words[2]);
    with_a_client(words[1]);
    return EXIT_SUCCESS;
}
