/*
 * broker_url.h: the URL of RabbitMQ from jobsched.amqp_url_file or jobsched.amqp_url.
 */
#ifndef JOBSCHED_BROKER_URL_H
#define JOBSCHED_BROKER_URL_H

/*
 * The URL in force, "" when the file cannot be used (logged once for each reason).  Cheap: the file is read again only
 * when it has changed.  Valid until the next call.
 */
extern const char *broker_url(void);

#endif
