// The fetches that the standard is held against: the platform's own, to show that a test is right, and ours on both transports.

import type { ServerResponse } from 'node:http'
import { onTestFinished } from 'vitest'
import { ApiClient } from '../../../src/ApiClient.ts'
import { transports } from '../../support/apiClients.ts'
import { type ReadRequest, startServer } from '../../support/misbehavingServer.ts'

type Fetch = typeof globalThis.fetch

export const fetches: [string, () => Fetch][] = [
  ['the platform', () => globalThis.fetch],
  ...transports.map(([name, make]): [string, () => Fetch] => [
    `client.fetch on ${name}`,
    () => {
      const transport = make({ connectTimeout: 10_000, maxHeaderBytes: 64 * 1024 })
      const client = new ApiClient({ transport, retryDelay: 1, retries: 0, rateLimiter: false })
      onTestFinished(() => client.dispose())
      return client.fetch
    },
  ]),
]

/** An origin that answers as told. */
export async function origin(
  handle: (request: ReadRequest, response: ServerResponse) => void,
): Promise<string> {
  const server = await startServer(handle)
  onTestFinished(() => server.close())
  return server.origin
}

/** An origin that answers with what it was sent. */
export function echo(): Promise<string> {
  return origin((request, response) => {
    const { method, url, headers } = request
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ method, url, headers, body: request.body.toString('latin1') }))
  })
}

export interface Echoed {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: string
}

export async function echoed(response: Promise<Response>): Promise<Echoed> {
  return (await response).json() as Promise<Echoed>
}

/** What a promise rejects with. */
export function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('it did not reject')
    },
    (error: unknown) => error,
  )
}
