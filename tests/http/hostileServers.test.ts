// Servers that mean harm: each attack ends in a typed error at its stated limit, soon, through every way of asking.

import type { Socket } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { ApiClient, ApiClientOptions } from '../../src/ApiClient.ts'
import { failureOf, serve, serveRaw, transports } from '../support/apiClients.ts'
import { until } from '../support/misbehavingServer.ts'

const MB = 1024 * 1024
const limits: ApiClientOptions = {
  maxResponseBytes: 256 * 1024,
  maxHeaderBytes: 16 * 1024,
  retries: 0,
  timeout: 10_000,
}

/** Every way of taking a body. */
const ways: [string, (client: ApiClient, url: string) => Promise<unknown>][] = [
  ['get()', (client, url) => client.get(url)],
  [
    'a stream',
    async (client, url) => drain((await client.get(url, { responseType: 'stream' })) as ReadableStream),
  ],
  ['fetch()', (client, url) => asFetch(async () => drain((await client.fetch(url)).body as ReadableStream))],
  ['events', (client, url) => each(client.stream(url))],
  ['lines', (client, url) => each(client.stream(url, { format: 'ndjson' }))],
]

/** A fetch fails with a TypeError, as the platform's does; what it was is the cause. */
async function asFetch<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    expect(error).toBeInstanceOf(TypeError)
    throw (error as TypeError).cause
  }
}

async function drain(stream: ReadableStream<Uint8Array>): Promise<number> {
  let bytes = 0
  for await (const chunk of stream) bytes += chunk.byteLength
  return bytes
}

async function each(items: AsyncIterable<unknown>): Promise<number> {
  let count = 0
  for await (const _ of items) count += 1
  return count
}

/** Writes for ever, as fast as the other side takes it. */
function flood(socket: Pick<Socket, 'write' | 'once' | 'destroyed'>, piece: string | Buffer): () => number {
  let written = 0
  const push = () => {
    while (!socket.destroyed && written < 512 * MB) {
      written += piece.length
      if (!socket.write(piece)) break
    }
    if (!socket.destroyed) socket.once('drain', push)
  }
  push()
  return () => written
}

const zeros = Buffer.alloc(50 * MB)
const bombs: [string, Buffer][] = [
  ['gzip', gzipSync(zeros)],
  ['br', brotliCompressSync(zeros)],
  ['deflate', deflateSync(zeros)],
  ['zstd', zstdCompressSync(zeros)],
  ['gzip, gzip', gzipSync(gzipSync(zeros))],
  ['br, gzip, deflate', deflateSync(gzipSync(brotliCompressSync(zeros)))],
]

describe.each(transports)('through %s', (name, make) => {
  describe.each(bombs)('a bomb packed with %s', (encoding, bomb) => {
    it.each(ways)('goes off at the limit (%s)', async (_way, ask) => {
      const { server, client } = await serve(
        (_request, response) => {
          response
            .writeHead(200, { 'content-type': 'text/event-stream', 'content-encoding': encoding })
            .end(bomb)
        },
        limits,
        make,
      )
      expect(bomb.length).toBeLessThan(200 * 1024)
      const error = await failureOf(ask(client, `${server.origin}/`))
      // What this platform's fetch cannot unpack it may hand over packed, or refuse.
      if (name === 'fetch' && encoding === 'zstd') expect(error.code).toBeDefined()
      else expect(error).toMatchObject({ code: 'RESPONSE_TOO_LARGE' })
    })
  })

  it('five encodings are undone, six are refused, honest or not', async () => {
    const { client } = await serve(
      (request, response) => {
        const times = Number(request.url.slice(1))
        let body = Buffer.from('honest')
        for (let time = 0; time < times; time += 1) body = gzipSync(body)
        response.writeHead(200, { 'content-encoding': 'gzip, '.repeat(times).slice(0, -2) }).end(body)
      },
      limits,
      make,
    )
    expect(await client.get('/5', { responseType: 'text' })).toBe('honest')
    const six = await failureOf(client.get('/6'))
    // A platform that undoes encodings by itself has a limit of its own.
    if (name === 'undici')
      expect(six).toMatchObject({ code: 'BAD_RESPONSE', message: expect.stringMatching(/more than 5/) })
    else expect(six.code).toMatch(/BAD_RESPONSE|NETWORK/)
  })

  it('thousands of encodings are refused', async () => {
    const { client } = await serve(
      (_request, response) => {
        response.writeHead(200, { 'content-encoding': 'gzip, '.repeat(2000).slice(0, -2) }).end(gzipSync('x'))
      },
      limits,
      make,
    )
    expect((await failureOf(client.get('/'))).code).toMatch(/BAD_RESPONSE|NETWORK/)
  })

  it.each(ways)('an endless body ends at the limit, and so does the connection (%s)', async (_way, ask) => {
    let written = () => 0
    const { server, client } = await serveRaw(
      (socket) => {
        socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n')
        written = flood(socket, Buffer.alloc(64 * 1024, 'x'))
      },
      limits,
      make,
    )
    expect(await failureOf(ask(client, `${server.origin}/`))).toMatchObject({ code: 'RESPONSE_TOO_LARGE' })
    await until(() => server.connections === 0, 'the connection closes')
    expect(written()).toBeLessThan(64 * MB)
  })

  it.each<[string, string, string]>([
    ['headers', 'HTTP/1.1 200 OK\r\n', `x-more: ${'y'.repeat(1000)}\r\n`],
    ['one header', 'HTTP/1.1 200 OK\r\nx-more: ', 'y'.repeat(1000)],
    ['one name', 'HTTP/1.1 200 OK\r\n', 'y'.repeat(1000)],
    ['one status line', 'HTTP/1.1 200 ', 'y'.repeat(1000)],
    [
      'trailers',
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n',
      `x-more: ${'y'.repeat(1000)}\r\n`,
    ],
    ['a chunk extension', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1;x=', 'y'.repeat(1000)],
    ['hints', '', 'HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n'],
  ])('endless %s end in a typed error, and so does the connection', async (what, head, piece) => {
    let written = () => 0
    const { server, client } = await serveRaw(
      (socket) => {
        socket.write(head)
        written = flood(socket, piece.repeat(20))
      },
      { ...limits, timeout: 600 },
      make,
    )
    const error = await failureOf(client.get('/'))
    if (what === 'headers' || what === 'one header') expect(error.code).toBe('HEADERS_TOO_LARGE')
    else expect(error.code).toMatch(/^(HEADERS_TOO_LARGE|NETWORK|TIMEOUT|RESPONSE_TOO_LARGE)$/)
    await until(() => server.connections === 0, 'the connection closes')
    // What the parser does not count it does not keep either: there the timeout is the limit.
    if (error.code !== 'TIMEOUT') expect(written()).toBeLessThan(64 * MB)
  })

  it.each<[string, string, string]>([
    ['the status line', '', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'],
    ['the headers', 'HTTP/1.1 200 OK\r\n', 'x: '.padEnd(2000, 'y')],
    ['the body', 'HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n', 'y'.repeat(2000)],
  ])('a slow drip of %s ends with the timeout', async (_what, head, rest) => {
    const { server, client } = await serveRaw(
      (socket) => {
        socket.write(head || 'H')
        let index = head ? 0 : 1
        const timer = setInterval(() => {
          if (socket.destroyed) clearInterval(timer)
          else socket.write(rest[index++ % rest.length] as string)
        }, 15)
      },
      { ...limits, timeout: 150 },
      make,
    )
    expect(await failureOf(client.get('/'))).toMatchObject({ code: 'TIMEOUT', phase: 'attempt' })
    await until(() => server.connections === 0, 'the connection closes')
  })

  it.each(ways)(
    'single bytes in chunks of their own are put together, up to the limit (%s)',
    async (way, ask) => {
      const bytes = way === 'events' ? 'data: 1\n\n'.repeat(2000) : '1\n'.repeat(9000)
      const { server, client } = await serveRaw(
        (socket, head) => {
          socket.write(
            'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/event-stream\r\n\r\n',
          )
          if (head.startsWith('GET /endless')) flood(socket, '1\r\nx\r\n'.repeat(5000))
          else socket.end(`${[...bytes].map((byte) => `1\r\n${byte}\r\n`).join('')}0\r\n\r\n`)
        },
        limits,
        make,
      )
      const taken = await ask(client, `${server.origin}/`)
      if (way === 'get()') expect(taken).toBe(bytes)
      else expect(taken).toBe(way === 'events' ? 2000 : way === 'lines' ? 9000 : bytes.length)
      expect(await failureOf(ask(client, `${server.origin}/endless`))).toMatchObject({
        code: 'RESPONSE_TOO_LARGE',
      })
      await until(() => server.connections === 0, 'the connection closes')
    },
  )

  it.each<[string, string, RegExp]>([
    ['more than comes', 'content-length: 100\r\n\r\nhalf', /^NETWORK$/],
    ['what no one would send', 'content-length: 99999999999999\r\n\r\nx', /^(RESPONSE_TOO_LARGE|NETWORK)$/],
    [
      'more than a number holds',
      'content-length: 99999999999999999999999\r\n\r\nx',
      /^(RESPONSE_TOO_LARGE|NETWORK)$/,
    ],
    ['less than nothing', 'content-length: -1\r\n\r\nx', /^NETWORK$/],
    ['no number', 'content-length: many\r\n\r\nx', /^NETWORK$/],
    ['two numbers', 'content-length: 1\r\ncontent-length: 2\r\n\r\nxy', /^NETWORK$/],
    ['a list', 'content-length: 1, 2\r\n\r\nxy', /^NETWORK$/],
    ['another number in hexadecimal', 'content-length: 0x2\r\n\r\nxy', /^NETWORK$/],
  ])('a Content-Length that promises %s', async (_what, wire, code) => {
    const { client } = await serveRaw((socket) => socket.end(`HTTP/1.1 200 OK\r\n${wire}`), limits, make)
    expect((await failureOf(client.get('/'))).code).toMatch(code)
    expect(
      (
        await failureOf(
          client.get('/', { responseType: 'stream' }).then((body) => drain(body as ReadableStream)),
        )
      ).code,
    ).toMatch(code)
  })

  it("a Content-Length that promises less: the rest is nobody's answer", async () => {
    const { client } = await serveRaw(
      (socket) =>
        socket.write(
          'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil',
        ),
      limits,
      make,
    )
    for (let call = 0; call < 3; call += 1) {
      expect(await client.get('/', { responseType: 'text' }).catch((error) => error.code)).toMatch(
        /^(ok|NETWORK)$/,
      )
    }
  })

  it('redirects that never end, each with an endless body, end at maxRedirects', async () => {
    const { server, client } = await serveRaw(
      (socket) => {
        socket.write(`HTTP/1.1 302 Found\r\nlocation: /${server.requests}\r\n\r\n`)
        flood(socket, Buffer.alloc(64 * 1024, 'x'))
      },
      { ...limits, maxRedirects: 3 },
      make,
    )
    expect((await failureOf(client.get('/'))).code).toMatch(/^(TOO_MANY_REDIRECTS|RESPONSE_TOO_LARGE)$/)
    expect(server.requests).toBeLessThanOrEqual(4)
    await until(() => server.connections === 0, 'the connections close')
  })

  it('an error with an endless body is told by its status or its size, and not read on', async () => {
    const { server, client } = await serveRaw(
      (socket) => {
        socket.write('HTTP/1.1 404 Not Found\r\n\r\n')
        flood(socket, Buffer.alloc(64 * 1024, 'x'))
      },
      limits,
      make,
    )
    expect((await failureOf(client.get('/'))).code).toMatch(/^(HTTP_STATUS|RESPONSE_TOO_LARGE)$/)
    await until(() => server.connections === 0, 'the connection closes')
  })
})
