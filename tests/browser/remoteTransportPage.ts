// The other end of remoteTransport.ts, in the page: runs the fetch transport and reports what it hears.

import type { CommsError, NetworkError } from '../../src/core/errors.ts'
import { capabilities, createHttpTransport } from '../../src/transport/fetchTransport.ts'
import type { HttpExchange, HttpRequest } from '../../src/transport/HttpTransport.ts'

declare const report: (id: number, what: unknown) => Promise<void>

interface Wire extends HttpRequest {
  readonly isBytes: boolean
  readonly isBlob: boolean
  readonly tells: boolean
}

const transport = createHttpTransport({ connectTimeout: 10_000, maxHeaderBytes: 64 * 1024 })
const exchanges = new Map<number, HttpExchange>()
const readers = new Map<number, ReadableStreamDefaultReader<Uint8Array>>()

function plainError(error: unknown) {
  const { code, message, neverSent } = error as CommsError & NetworkError
  return { code, message: message ?? String(error), neverSent }
}

function base64(bytes: Uint8Array): string {
  let text = ''
  for (let start = 0; start < bytes.length; start += 8192)
    text += String.fromCharCode(...bytes.subarray(start, start + 8192))
  return btoa(text)
}

function bodyOf({ body, isBytes, isBlob }: Wire): HttpRequest['body'] {
  if (!isBytes) return body
  const bytes = Uint8Array.from(atob(body as string), (character) => character.charCodeAt(0))
  return isBlob ? new Blob([bytes]) : bytes
}

const remote = {
  capabilities: { ...capabilities },
  start(id: number, wire: Wire, stream: boolean) {
    const request = {
      ...wire,
      body: bodyOf(wire),
      ...(wire.tells && {
        onDownloadProgress: (received: number, total: number | undefined) =>
          void report(id, { event: 'progress', received, total }),
      }),
    }
    exchanges.set(
      id,
      transport.send(request, {
        onSent: () => void report(id, { event: 'sent' }),
        onHead(status, headers) {
          void report(id, { event: 'head', status, headers: { ...headers } })
          return stream
        },
        onResponse({ body, ...response }) {
          if (body instanceof ReadableStream) readers.set(id, body.getReader())
          void report(id, {
            event: 'response',
            response: { ...response, headers: { ...response.headers } },
            body: body instanceof ReadableStream ? null : base64(body),
          })
        },
        onFailure: (error) => void report(id, { event: 'failure', error: plainError(error) }),
      }),
    )
  },
  cancel(id: number) {
    exchanges.get(id)?.cancel(new Error('cancelled'))
  },
  async read(id: number) {
    try {
      const { done, value } = (await readers.get(id)?.read()) ?? { done: true, value: undefined }
      return { done, bytes: value ? base64(value) : '' }
    } catch (error) {
      return { error: plainError(error) }
    }
  },
  async leave(id: number) {
    await readers.get(id)?.cancel()
  },
}

Object.assign(globalThis, { remote })
