/*
 * amqp_login.c: the URL, and the methods of channel 0: login with PLAIN, close, blocked.
 */
#include "postgres.h"

#include "amqp_link_private.h"
#include "miscadmin.h"

#define CREDENTIALS_MAX 2048	/* bytes of user and password */

static void link_send_start_ok(AmqpLink *link, const amqp_connection_start_t *start);
static void link_send_tune_ok(AmqpLink *link, const amqp_connection_tune_t *tune);

const char *
amqp_login_parse_url(AmqpLink *link)
{
	char	   *path,
			   *query;

	link->parsed = MemoryContextStrdup(link->cxt, link->url);
	path = strstr(link->parsed, "://");
	path = path != NULL ? strchr(path + 3, '/') : NULL;
	query = path != NULL ? strchr(path, '?') : NULL;
	if (query != NULL)
		*query = '\0';

	memset(&link->info, 0, sizeof(link->info));
	if (amqp_parse_url(link->parsed, &link->info) != AMQP_STATUS_OK)
		return "it must look like amqp://user:password@host:port/vhost, with special characters percent-encoded";
	if (link->info.ssl)
		return "amqps:// is not supported by the scheduler, use amqp://";
	if (link->info.host[0] == '\0')
		return "it names no host";
	if (link->info.vhost[0] == '\0')
		link->info.vhost = "/";
	if (!amqp_frame_is_shortstr(link->info.vhost))
		return "the virtual host is longer than 255 bytes";
	if (strlen(link->info.user) + strlen(link->info.password) > CREDENTIALS_MAX)
		return "user and password are longer than 2048 bytes";
	return NULL;
}

void
amqp_login_handle(AmqpLink *link, const struct amqp_frame *frame)
{
	void	   *method = amqp_frame_method(frame, &link->pool);

	if (method == NULL)
	{
		amqp_link_fail(link, "%s sent an unknown method 0x%08X", link->peer, (unsigned int) frame->method);
		return;
	}
	switch (frame->method)
	{
		case AMQP_CONNECTION_START_METHOD:
			if (link->state == LINK_START)
				link_send_start_ok(link, method);
			break;
		case AMQP_CONNECTION_SECURE_METHOD:
			amqp_link_fail(link, "%s wants another way of login than PLAIN", link->peer);
			break;
		case AMQP_CONNECTION_TUNE_METHOD:
			if (link->state == LINK_TUNE)
				link_send_tune_ok(link, method);
			break;
		case AMQP_CONNECTION_OPEN_OK_METHOD:
			if (link->state == LINK_OPENING)
			{
				link->state = LINK_OPEN;
				link->opened_at = now_ms();
				link->owner.opened(link->owner.arg);
			}
			break;
		case AMQP_CONNECTION_CLOSE_METHOD:
			{
				amqp_connection_close_ok_t ok = {0};
				char		reason[200];

				amqp_link_text(reason, sizeof(reason), ((amqp_connection_close_t *) method)->reply_text);
				amqp_link_method(link, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok);
				amqp_link_write_last(link);
				amqp_link_fail(link, "%s closed the connection: %s", link->peer, reason);
				break;
			}
		case AMQP_CONNECTION_BLOCKED_METHOD:
			amqp_link_text(link->blocked, sizeof(link->blocked), ((amqp_connection_blocked_t *) method)->reason);
			link->is_blocked = true;
			ereport(LOG, errmsg("jobsched: the broker at %s takes no messages: %s", link->peer, link->blocked));
			break;
		case AMQP_CONNECTION_UNBLOCKED_METHOD:
			link->is_blocked = false;
			ereport(LOG, errmsg("jobsched: the broker at %s takes messages again", link->peer));
			break;
		default:
			break;
	}
}

static amqp_table_entry_t
text_entry(const char *key, const char *value)
{
	return (amqp_table_entry_t) {
		.key = amqp_cstring_bytes(key),
		.value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value)},
	};
}

static void
link_send_start_ok(AmqpLink *link, const amqp_connection_start_t *start)
{
	static const char *const wanted[] = {
		"authentication_failure_close", "basic.nack", "connection.blocked", "publisher_confirms"
	};
	amqp_table_entry_t capabilities[lengthof(wanted)];
	char		name[64];
	char		response[CREDENTIALS_MAX + 3];
	char		mechanisms[256];
	amqp_table_entry_t properties[3];
	size_t		user = strlen(link->info.user),
				password = strlen(link->info.password);
	amqp_connection_start_ok_t ok = {
		.mechanism = amqp_cstring_bytes("PLAIN"),
		.response = {.len = user + password + 2, .bytes = response},
		.locale = amqp_cstring_bytes("en_US"),
	};

	amqp_link_text(mechanisms, sizeof(mechanisms), start->mechanisms);
	if (strstr(mechanisms, "PLAIN") == NULL)
	{
		amqp_link_fail(link, "%s offers no login with PLAIN, only: %s", link->peer, mechanisms);
		return;
	}
	for (size_t i = 0; i < lengthof(wanted); i++)
	{
		capabilities[i].key = amqp_cstring_bytes(wanted[i]);
		capabilities[i].value.kind = AMQP_FIELD_KIND_BOOLEAN;
		capabilities[i].value.value.boolean = 1;
	}
	snprintf(name, sizeof(name), "jobsched scheduler, pid %d", MyProcPid);
	properties[0] = text_entry("product", "jobsched");
	properties[1] = text_entry("connection_name", name);
	properties[2] = (amqp_table_entry_t) {
		.key = amqp_cstring_bytes("capabilities"),
		.value = {
			.kind = AMQP_FIELD_KIND_TABLE,
			.value.table = {.num_entries = lengthof(capabilities), .entries = capabilities},
		},
	};
	ok.client_properties = (amqp_table_t) {.num_entries = lengthof(properties), .entries = properties};

	response[0] = '\0';
	memcpy(response + 1, link->info.user, user);
	response[1 + user] = '\0';
	memcpy(response + 2 + user, link->info.password, password);
	amqp_link_method(link, 0, AMQP_CONNECTION_START_OK_METHOD, &ok);
	link->state = LINK_TUNE;
}

static void
link_send_tune_ok(AmqpLink *link, const amqp_connection_tune_t *tune)
{
	amqp_connection_tune_ok_t ok = {
		.channel_max = tune->channel_max,
		.frame_max = tune->frame_max == 0 ? FRAME_MAX : Min(tune->frame_max, FRAME_MAX),
		.heartbeat = tune->heartbeat == 0 ? HEARTBEAT_S : Min(tune->heartbeat, HEARTBEAT_S),
	};
	amqp_connection_open_t open = {.virtual_host = amqp_cstring_bytes(link->info.vhost)};

	link->heartbeat_ms = (int64) ok.heartbeat * 1000;
	amqp_link_method(link, 0, AMQP_CONNECTION_TUNE_OK_METHOD, &ok);
	amqp_link_method(link, 0, AMQP_CONNECTION_OPEN_METHOD, &open);
	link->state = LINK_OPENING;
}
