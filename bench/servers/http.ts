// The HTTP server of the benchmarks, a process of its own: `node:http`, as a backend written for Node has it.
// It counts, so that nobody can cheat.

import { createServer } from 'node:http'
import { answer } from '../harness/child.ts'
import { documentOf } from './payload.ts'

const body = Buffer.from(JSON.stringify(documentOf(1024)))
const headers = { 'content-type': 'application/json', 'content-length': body.length }
let requests = 0
let bodyBytes = 0

const server = createServer((request, response) => {
  requests += 1
  request.on('data', (chunk: Buffer) => {
    bodyBytes += chunk.length
  })
  request.on('end', () => {
    response.writeHead(200, headers)
    response.end(body)
  })
})

answer({
  listen: () =>
    new Promise((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address()
        resolve(typeof address === 'object' && address ? address.port : 0)
      })
    }),
  counts: () => ({ requests, bodyBytes }),
})
