/*
 * What a callback may do to the client that it is told about: callback DIR, an installation for which an
 * update is offered.
 */
#include <stdio.h>
#include <stdlib.h>

#include "mainstay.h"

#define EXPECT(what) expect((what), #what, __LINE__)

static void expect(int holds, const char *what, int line)
{
    if (holds)
        return;
    fprintf(stderr, "line %d: %s\n", line, what);
    exit(EXIT_FAILURE);
}

struct context {
    const char *root;
    mainstay_client *client;
    unsigned steps;
};

static void show(const mainstay_progress *progress, void *pointer)
{
    struct context *context = pointer;
    mainstay_client *client = context->client;

    context->steps++;
    EXPECT(mainstay_check(context->client, NULL) == MAINSTAY_USAGE);
    EXPECT(mainstay_update(context->client, show, context, NULL) == MAINSTAY_USAGE);
    EXPECT(mainstay_confirm(context->client, NULL) == MAINSTAY_USAGE);
    EXPECT(mainstay_close(&client) == MAINSTAY_USAGE);
    EXPECT(client == context->client);
    EXPECT(mainstay_last_error() != NULL);
    EXPECT(mainstay_status(context->root, NULL) == MAINSTAY_DONE);
    /* What has begun to be installed comes to its end. */
    if (progress->phase == MAINSTAY_INSTALLING)
        EXPECT(mainstay_cancel(context->client) == MAINSTAY_DONE);
}

int main(int count, char **words)
{
    struct context context = {NULL, NULL, 0};

    EXPECT(count == 2);
    context.root = words[1];
    EXPECT(mainstay_open(context.root, 0, &context.client) == MAINSTAY_DONE);
    EXPECT(mainstay_update(context.client, show, &context, NULL) == MAINSTAY_DONE);
    EXPECT(mainstay_last_error() == NULL);
    EXPECT(context.steps >= 2);
    EXPECT(mainstay_check(context.client, NULL) == MAINSTAY_CANCELLED);
    EXPECT(mainstay_close(&context.client) == MAINSTAY_DONE);
    return EXIT_SUCCESS;
}
