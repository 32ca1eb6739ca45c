/*
 * artifact_store.h: the blob store that the settings choose.
 */
#ifndef JOBSCHED_WORKER_ARTIFACT_STORE_H
#define JOBSCHED_WORKER_ARTIFACT_STORE_H

#include "blob/blob.h"
#include "settings.h"

/* Values of the chosen store that cannot be meant; nothing is opened or sent. */
int artifact_store_check_settings(const struct settings *s, struct error *err);

/*
 * Opens the store, while there is one thread, and asks it whether it can be used.  NULL after filling *err when it
 * cannot (no directory, wrong keys, no bucket); a server that does not answer now is logged, since it may come back.
 */
struct blob_store *artifact_store_open(const struct settings *s, struct error *err);

#endif
