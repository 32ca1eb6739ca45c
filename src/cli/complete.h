/*
 * complete.h: words that may come next, for the shell's completion.
 */
#ifndef JOBSCHED_CLI_COMPLETE_H
#define JOBSCHED_CLI_COMPLETE_H

#include "cli.h"

/* The command that share/bash-completion/jobsched calls; in no list of commands. */
#define COMPLETE_WORD "__complete"

/* Prints what can stand in place of the last of these words, which follow the program's name; one a line. */
enum cli_exit complete(int nwords, char **words);

#endif
