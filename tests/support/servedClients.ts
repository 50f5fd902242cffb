// A real server and a client of its own for one test; both are gone after it.

import type { ServerResponse } from 'node:http'
import { afterEach } from 'vitest'
import { ApiClient, type ApiClientOptions } from '../../src/ApiClient.ts'
import { type ReadRequest, startServer } from './misbehavingServer.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** @param handle answers the request with this number, counted from 1 */
export async function serveClient(
  handle: (request: ReadRequest, response: ServerResponse, count: number) => void,
  options: ApiClientOptions = {},
) {
  let count = 0
  const server = await startServer((request, response) => {
    count += 1
    handle(request, response, count)
  })
  const client = new ApiClient({ baseURL: server.origin, retryDelay: 1, ...options })
  cleanups.push(
    () => server.close(),
    () => client.dispose(),
  )
  return { server, client }
}
