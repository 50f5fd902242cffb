// Clients for tests of HTTP, and what goes when a test ends.

import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { ApiClient, type ApiClientOptions } from '../../src/ApiClient.ts'
import { VirtualClock } from '../../src/testing/VirtualClock.ts'
import { createHttpTransport as createFetchTransport } from '../../src/transport/fetchTransport.ts'
import type { HttpRequest } from '../../src/transport/HttpTransport.ts'
import { createHttpTransport as createUndiciTransport } from '../../src/transport/undiciTransport.ts'
import { type ReadRequest, startRawServer, startServer, type TestServer } from './misbehavingServer.ts'
import { type Scripted, type ScriptedTransport, scriptedTransport } from './scriptedTransport.ts'

// Parts that are fetched when first used are there from the start: virtual time does not wait for files.
await Promise.all([
  import('../../src/client/asking.ts'),
  import('../../src/client/fetch.ts'),
  import('../../src/client/guardedStream.ts'),
  import('../../src/client/streaming.ts'),
  import('../../src/http/multipart.ts'),
  import('../../src/http/redirects.ts'),
  import('../../src/policies/rateLimiter/TokenQueue.ts'),
])

/** Both transports by name, for `describe.each`. */
export const transports = Object.entries({ undici: createUndiciTransport, fetch: createFetchTransport })
export type MakeTransport = (typeof transports)[number][1]

/** Nothing that limits a test which is not about limits. */
const quick: ApiClientOptions = { retryDelay: 1, rateLimiter: false }

/** A client of its own for this test. */
export function clientFor(options: ApiClientOptions = {}, make?: MakeTransport): ApiClient {
  const { connectTimeout = 10_000, maxHeaderBytes = 64 * 1024 } = options
  const transport = make?.({ connectTimeout, maxHeaderBytes })
  const client = new ApiClient({ ...quick, ...(transport && { transport }), ...options })
  onTestFinished(() => client.dispose())
  return client
}

/** A server that speaks HTTP, and a client for it. */
export async function serve(
  handle: (request: ReadRequest, response: ServerResponse, count: number) => void,
  options: ApiClientOptions = {},
  make?: MakeTransport,
): Promise<{ server: TestServer; client: ApiClient }> {
  let count = 0
  const server = await startServer((request, response) => {
    count += 1
    handle(request, response, count)
  })
  onTestFinished(() => server.close())
  return { server, client: clientFor({ baseURL: server.origin, ...options }, make) }
}

/** A server that writes what it likes, and a client for it. */
export async function serveRaw(
  handle: (socket: Socket, head: string) => void,
  options: ApiClientOptions = {},
  make?: MakeTransport,
): Promise<{ server: TestServer; client: ApiClient }> {
  const server = await startRawServer(handle)
  onTestFinished(() => server.close())
  return { server, client: clientFor({ baseURL: server.origin, ...options }, make) }
}

/** A client in virtual time on a transport that follows a script. */
export function virtual(
  script: (request: HttpRequest, count: number) => Scripted,
  options: ApiClientOptions = {},
): { clock: VirtualClock; transport: ScriptedTransport; client: ApiClient } {
  const clock = new VirtualClock(1000)
  const transport = scriptedTransport(clock, script)
  const client = clientFor({ baseURL: 'https://api.test', clock, random: () => 0.5, transport, ...options })
  return { clock, transport, client }
}

export function json(response: ServerResponse, body: unknown, status = 200, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

/** The error that a promise rejects with. */
// biome-ignore lint/suspicious/noExplicitAny: tests read fields of any error
export function failureOf(promise: Promise<unknown>): Promise<any> {
  return promise.then(
    (value) => {
      throw new Error(`expected a failure, got ${JSON.stringify(value)}`)
    },
    (error) => error,
  )
}
