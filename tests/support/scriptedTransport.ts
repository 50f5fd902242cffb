// A transport without a network: a script says what becomes of each attempt, and a clock when.

import { type CommsError, NetworkError } from '../../src/core/errors.ts'
import type { VirtualClock } from '../../src/testing/VirtualClock.ts'
import type {
  HttpExchange,
  HttpReceiver,
  HttpRequest,
  HttpTransport,
} from '../../src/transport/HttpTransport.ts'

/** What becomes of one attempt. */
export interface Scripted {
  /** Milliseconds until it is answered or fails; `Infinity`: never. @default 0 */
  readonly after?: number
  /** @default 200 */
  readonly status?: number
  readonly headers?: Record<string, string>
  /** JSON, unless it is bytes or a stream. */
  readonly body?: unknown
  /** Fails instead of answering. */
  readonly error?: CommsError
}

/** One attempt that the transport was asked for. */
export interface Asked {
  readonly request: HttpRequest
  /** On the clock of the transport. */
  readonly at: number
  /** When it ended by itself; `undefined` while it has not. */
  endedAt: number | undefined
  cancelled: boolean
}

export interface ScriptedTransport extends HttpTransport {
  readonly asked: Asked[]
  /** Attempts under way. */
  readonly open: number
}

export const connectionLost = (neverSent = false) => new NetworkError('network error: lost', { neverSent })

/** @param script called for every attempt with its number, counted from 1 */
export function scriptedTransport(
  clock: VirtualClock,
  script: (request: HttpRequest, count: number) => Scripted,
): ScriptedTransport {
  const asked: Asked[] = []
  const open = new Set<Asked>()
  return {
    asked,
    get open() {
      return open.size
    },
    acceptEncoding: undefined,
    decodeText: (bytes) => new TextDecoder().decode(bytes),
    dispose() {},
    send(request: HttpRequest, receiver: HttpReceiver): HttpExchange {
      const entry: Asked = { request, at: clock.now(), endedAt: undefined, cancelled: false }
      asked.push(entry)
      open.add(entry)
      const { after = 0, status = 200, headers = {}, body, error } = script(request, asked.length)
      const answer = () => {
        open.delete(entry)
        entry.endedAt = clock.now()
        if (!error?.message.includes('never connected')) receiver.onSent()
        if (error) {
          receiver.onFailure(error)
          return
        }
        const isRaw = body instanceof Uint8Array || body instanceof ReadableStream
        const fields = isRaw ? headers : { 'content-type': 'application/json', ...headers }
        const asStream = receiver.onHead(status, fields)
        const bytes =
          body === undefined
            ? new Uint8Array(0)
            : body instanceof Uint8Array
              ? body
              : new TextEncoder().encode(JSON.stringify(body))
        receiver.onResponse({
          status,
          headers: fields,
          finalUrl: undefined,
          setCookie: undefined,
          body: body instanceof ReadableStream ? body : asStream ? streamOf(bytes) : bytes,
        })
      }
      const timer = after === Number.POSITIVE_INFINITY ? undefined : clock.setTimeout(answer, after)
      return {
        cancel() {
          if (!open.delete(entry)) return
          entry.cancelled = true
          if (timer !== undefined) clock.clearTimeout(timer)
        },
      }
    },
  }
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      if (bytes.byteLength > 0) controller.enqueue(bytes)
      controller.close()
    },
  })
}
