/*
 * version.h: what --version prints.
 */
#ifndef JOBSCHED_VERSION_H
#define JOBSCHED_VERSION_H

#define JOBSCHED_VERSION	"1.0"

#endif
