// Asking for a stream: what is sent, what is taken for one, and from where it goes on.

import { CommsError } from '../core/errors.ts'
import { NdjsonDecoder, SseDecoder, type SsePosition } from '../http/serverSentEvents.ts'
import { ask } from './asking.ts'
import type { ClientCore } from './core.ts'
import { readEventStream } from './eventStream.ts'
import type { StreamOptions } from './options.ts'

/**
 * The events of a stream whose options have been checked; asked for when the first is wanted.
 * @param signal in place of that of the options
 */
export function openStream(
  core: ClientCore,
  url: string | URL,
  options: StreamOptions,
  signal: AbortSignal,
): AsyncGenerator<unknown, void, undefined> {
  const {
    method = 'GET',
    data,
    format = 'sse',
    reconnect = false,
    eventTimeout = Infinity,
    ...rest
  } = options
  const { settings } = core
  const retries = rest.retries ?? settings.retries
  const maxBytes = rest.maxResponseBytes ?? settings.maxResponseBytes
  const deadlineAt = core.deadlineOf(rest)
  const position: SsePosition = { lastEventId: '', retryMs: undefined }
  return readEventStream<unknown>(core, {
    async open() {
      const { call } = await ask(core, method.toUpperCase(), url, data, {
        rateCategory: 'streaming',
        ...rest,
        // Each opening is one attempt: what is waited between them is decided here.
        ...(reconnect && { retries: 0 }),
        signal,
        // Holds for each event; the stream has no end.
        maxResponseBytes: Number.POSITIVE_INFINITY,
        deadlineAt,
        headers: core.requests.fieldsOf(
          {
            accept: format === 'sse' ? 'text/event-stream' : 'application/x-ndjson',
            'last-event-id': position.lastEventId || undefined,
          },
          rest.headers,
        ),
        responseType: 'stream',
      })
      const { status, headers, data: body, url: from } = call
      if (status === 204) return { body: undefined, decoder: new NdjsonDecoder(), url: from }
      if (format === 'sse') checkEventStream(headers['content-type'], from, body)
      return {
        body: body as ReadableStream<Uint8Array>,
        decoder: format === 'sse' ? new SseDecoder(position, maxBytes) : new NdjsonDecoder(maxBytes),
        url: from,
      }
    },
    maxFailedOpenings: reconnect ? retries : undefined,
    retryMs: () => position.retryMs,
    eventTimeoutMs: eventTimeout,
    deadlineAt,
    signal,
  })
}

/** Anything else would be read for ever without an event. @throws CommsError `BAD_RESPONSE` */
function checkEventStream(contentType: string | undefined, url: string, body: unknown): void {
  if (/^\s*text\/event-stream\s*(;|$)/i.test(contentType ?? '')) return
  if (body instanceof ReadableStream) body.cancel().catch(() => {})
  throw new CommsError(
    `${url} answered with ${contentType ?? 'no content type'} instead of text/event-stream`,
    {
      code: 'BAD_RESPONSE',
    },
  )
}
