// What every HTTP transport does, shown against servers that misbehave. A capability that a transport does not have is
// named in the title of what is not asked of it.

import { randomBytes } from 'node:crypto'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { chromiumTransports } from '../../tests/browser/remoteTransport.ts'
import {
  closedPort,
  startRawServer,
  startServer,
  type TestServer,
  until,
} from '../../tests/support/misbehavingServer.ts'
import type { CommsError, NetworkError, TimeoutError } from '../core/errors.ts'
import * as fetchTransport from './fetchTransport.ts'
import type {
  HttpExchange,
  HttpHeaders,
  HttpRequest,
  HttpResponse,
  HttpTransport,
  HttpTransportCapabilities,
  HttpTransportOptions,
} from './HttpTransport.ts'
import * as undiciTransport from './undiciTransport.ts'

const chromium = await chromiumTransports()
const transports = { undici: undiciTransport, fetch: fetchTransport, ...chromium.transports }
afterAll(() => chromium.close())
/** Where its parser is more generous than Node's, and a page cannot know. */
const CHROMIUM_TAKES: ReadonlySet<string> = new Set([
  'closes in the middle of the headers',
  'length and chunking at once',
])
const defaults: HttpTransportOptions = { connectTimeout: 10_000, maxHeaderBytes: 64 * 1024 }

interface Outcome {
  readonly exchange: HttpExchange
  readonly sent: () => boolean
  readonly heard: string[]
  readonly response: Promise<HttpResponse>
}

function send(
  transport: HttpTransport,
  origin: string,
  path: string,
  wish: Partial<HttpRequest> & { stream?: boolean } = {},
): Outcome {
  const { stream = false, ...rest } = wish
  const heard: string[] = []
  let sent = false
  let exchange!: HttpExchange
  const response = new Promise<HttpResponse>((resolve, reject) => {
    exchange = transport.send(
      {
        method: 'GET',
        origin,
        path,
        headers: {},
        body: undefined,
        maxResponseBytes: 1_000_000,
        maxHeaderBytes: 64 * 1024,
        mayFollowUnseen: true,
        ...rest,
      },
      {
        // For a transport that has to know before the headers come.
        ...{ stream },
        onSent() {
          heard.push('sent')
          sent = true
        },
        onHead(status: number, _headers: HttpHeaders) {
          heard.push(`head ${status}`)
          return stream
        },
        onResponse(value) {
          heard.push('response')
          resolve(value)
        },
        onFailure(error) {
          heard.push(`failure ${error.code}`)
          reject(error)
        },
      },
    )
  })
  // A test that only looks at what was heard leaves the promise alone.
  response.catch(() => {})
  return { exchange, sent: () => sent, heard, response }
}

async function failureOf(outcome: Outcome): Promise<CommsError> {
  return outcome.response.then(
    (response) => {
      throw new Error(`expected a failure, got ${response.status}`)
    },
    (error: CommsError) => error,
  )
}

function textOf(response: HttpResponse): string {
  return new TextDecoder().decode(response.body as Uint8Array)
}

async function readAll(stream: unknown): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream as ReadableStream<Uint8Array>) chunks.push(chunk)
  return Buffer.concat(chunks)
}

describe.each(Object.entries(transports))(
  '%s transport',
  (name, { createHttpTransport: create, capabilities }) => {
    const cleanUp: (() => unknown)[] = []
    afterEach(async () => {
      for (const action of cleanUp.splice(0).reverse()) await action()
    })

    function make(options: Partial<HttpTransportOptions> = {}): HttpTransport {
      const transport = create({ ...defaults, ...options })
      cleanUp.push(() => transport.dispose())
      return transport
    }

    async function serve(...args: Parameters<typeof startServer>): Promise<TestServer> {
      const server = await startServer(...args)
      cleanUp.push(() => server.close())
      return server
    }

    async function serveRaw(...args: Parameters<typeof startRawServer>): Promise<TestServer> {
      const server = await startRawServer(...args)
      cleanUp.push(() => server.close())
      return server
    }

    /** Runs the test where the transport can do it; else says by name what it cannot. */
    function needs(
      capability: keyof HttpTransportCapabilities,
      title: string,
      body: () => Promise<void>,
    ): void {
      if (capabilities[capability]) it(title, body)
      else it.skip(`${title} (not asked of ${name}: capability "${capability}" is missing)`, body)
    }

    it('hands over status, headers in lower case and the body', async () => {
      const server = await serve((_request, response) => {
        response.writeHead(201, { 'X-Thing': 'a', 'Content-Type': 'text/plain' }).end('hello')
      })
      const outcome = send(make(), server.origin, '/path?q=1')
      const response = await outcome.response
      expect(response.status).toBe(201)
      expect(response.headers['x-thing']).toBe('a')
      expect(textOf(response)).toBe('hello')
      expect(outcome.heard).toEqual(['sent', 'head 201', 'response'])
    })

    it('joins repeated fields by a comma', async () => {
      const server = await serve((_request, response) => {
        response.setHeader('vary', ['accept', 'origin'])
        response.end()
      })
      const { headers } = await send(make(), server.origin, '/').response
      expect(headers.vary).toBe('accept, origin')
    })

    needs('cookies', 'keeps every Set-Cookie apart', async () => {
      const server = await serve((_request, response) => {
        response.setHeader('set-cookie', ['a=1; Expires=Wed, 09 Jun 2032 10:18:14 GMT', 'b=2'])
        response.end()
      })
      const { setCookie } = await send(make(), server.origin, '/').response
      expect(setCookie).toEqual(['a=1; Expires=Wed, 09 Jun 2032 10:18:14 GMT', 'b=2'])
    })

    it.each([
      ['a string', () => 'tekst ✓', 'tekst ✓'],
      ['bytes', () => new Uint8Array([104, 105]), 'hi'],
      ['a part of a larger buffer', () => new Uint8Array([1, 104, 105, 2]).subarray(1, 3), 'hi'],
      ['a Blob', () => new Blob(['bl', 'ob']), 'blob'],
    ])('sends %s with its length', async (_what, body, text) => {
      const server = await serve((request, response) => {
        response.end(`${request.headers['content-length']} ${request.body}`)
      })
      const { response } = send(make(), server.origin, '/', { method: 'POST', body: body() })
      expect(textOf(await response)).toBe(`${Buffer.byteLength(text)} ${text}`)
    })

    needs('uploadStreams', 'sends a ReadableStream and an async iterable as they come', async () => {
      const server = await serve((request, response) => {
        response.end(`${request.headers['transfer-encoding']} ${request.body}`)
      })
      async function* parts() {
        yield 'one '
        yield new TextEncoder().encode('two')
      }
      const transport = make()
      const iterated = await send(transport, server.origin, '/', { method: 'POST', body: parts() }).response
      expect(textOf(iterated)).toBe('chunked one two')
      const stream = new Blob(['from a stream']).stream()
      const streamed = await send(transport, server.origin, '/', { method: 'POST', body: stream }).response
      expect(textOf(streamed)).toBe('chunked from a stream')
    })

    needs('uploadStreams', 'blames a body that fails on its source, not on the network', async () => {
      const server = await serve((_request, response) => response.end())
      async function* parts() {
        yield 'one'
        throw new Error('disk is gone')
      }
      const error = await failureOf(send(make(), server.origin, '/', { method: 'POST', body: parts() }))
      expect(error.code).toBe('BAD_REQUEST')
      expect((error.cause as Error).message).toBe('disk is gone')
    })

    needs('uploadStreams', 'tells the source of an upload that it is abandoned', async () => {
      const server = await serve((_request, response) => response.end())
      let cancelledWith: unknown
      const source = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(new Uint8Array(10)),
        cancel(reason) {
          cancelledWith = reason
        },
      })
      const { exchange, sent } = send(make(), server.origin, '/', { method: 'POST', body: source })
      await until(() => sent() && server.connections === 1, 'the request is on its way')
      await new Promise((resolve) => setTimeout(resolve, 20))
      const reason = new Error('changed my mind')
      exchange.cancel(reason)
      await until(() => cancelledWith === reason, 'the source hears of it')
    })

    needs(
      'tellsSent',
      'leaves a stream untouched when no connection comes about, so that it can still be sent',
      async () => {
        const port = await closedPort()
        const body = new Blob(['still here']).stream()
        const error = await failureOf(send(make(), `http://127.0.0.1:${port}`, '/', { method: 'POST', body }))
        expect((error as NetworkError).neverSent).toBe(true)
        expect(body.locked).toBe(false)
        expect(Buffer.from(await readAll(body)).toString()).toBe('still here')
      },
    )

    it('hands the body over as a stream when it is asked to', async () => {
      const server = await serve((_request, response) => {
        response.write('first,')
        setTimeout(() => response.end('second'), 10)
      })
      const response = await send(make(), server.origin, '/', { stream: true }).response
      expect(response.body).toBeInstanceOf(ReadableStream)
      expect(Buffer.from(await readAll(response.body)).toString()).toBe('first,second')
    })

    it('reads no faster than its reader: an endless body does not pile up', async () => {
      let written = 0
      const server = await serve((_request, response) => {
        const chunk = Buffer.alloc(64 * 1024)
        const push = () => {
          while (!response.destroyed && response.write(chunk)) written += chunk.length
          response.once('drain', push)
        }
        push()
      })
      const response = await send(make(), server.origin, '/', {
        stream: true,
        maxResponseBytes: Number.POSITIVE_INFINITY,
      }).response
      const reader = (response.body as ReadableStream<Uint8Array>).getReader()
      await reader.read()
      let before = -1
      while (before !== written) {
        before = written
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
      // What kernel and buffers hold; the server would have written gigabytes by now.
      expect(written).toBeLessThan(16 * 1024 * 1024)
      await reader.cancel()
      await until(() => server.connections === 0, 'the connection of an abandoned stream closes')
    })

    const text = 'compress me '.repeat(1000)
    it.each([
      ['gzip', gzipSync(text)],
      ['x-gzip', gzipSync(text)],
      ['deflate', deflateSync(text)],
      ['br', brotliCompressSync(text)],
      ['GZIP, br', brotliCompressSync(gzipSync(text))],
      ['identity', Buffer.from(text)],
    ])('undoes content-encoding %s, whole and streamed', async (encoding, bytes) => {
      const server = await serve((_request, response) => {
        response.setHeader('content-encoding', encoding)
        response.end(bytes)
      })
      const transport = make()
      expect(textOf(await send(transport, server.origin, '/').response)).toBe(text)
      const streamed = await send(transport, server.origin, '/', { stream: true }).response
      expect(Buffer.from(await readAll(streamed.body)).toString()).toBe(text)
    })

    needs('boundedEncodings', 'undoes bare deflate and zstd', async () => {
      const bodies: Record<string, [string, Buffer]> = {
        '/raw': ['deflate', deflateRawSync(text)],
        '/zstd': ['zstd', zstdCompressSync(text)],
      }
      const server = await serve((request, response) => {
        const [encoding, bytes] = bodies[request.url] as [string, Buffer]
        response.setHeader('content-encoding', encoding)
        response.end(bytes)
      })
      const transport = make()
      for (const path of Object.keys(bodies)) {
        expect(textOf(await send(transport, server.origin, path).response)).toBe(text)
        const streamed = await send(transport, server.origin, path, { stream: true }).response
        expect(Buffer.from(await readAll(streamed.body)).toString()).toBe(text)
      }
    })

    needs('boundedEncodings', 'takes gzip without its trailer, or with a part of it', async () => {
      const packed = gzipSync(text)
      const server = await serve((request, response) => {
        response.setHeader('content-encoding', 'gzip')
        response.end(packed.subarray(0, packed.length - 8 + Number(request.url.slice(1))))
      })
      const transport = make()
      for (let there = 0; there <= 8; there += 1) {
        expect(textOf(await send(transport, server.origin, `/${there}`).response)).toBe(text)
        const streamed = await send(transport, server.origin, `/${there}`, { stream: true }).response
        expect(Buffer.from(await readAll(streamed.body)).toString()).toBe(text)
      }
    })

    needs('boundedEncodings', 'takes no part of gzip for the whole', async () => {
      const packed = gzipSync(randomBytes(50_000))
      const server = await serve((request, response) => {
        response.setHeader('content-encoding', 'gzip')
        response.end(packed.subarray(0, Number(request.url.slice(1))))
      })
      for (const bytes of [5, 11, 20_000, packed.length - 9])
        expect((await failureOf(send(make(), server.origin, `/${bytes}`))).code).toBe('BAD_RESPONSE')
    })

    needs('boundedEncodings', 'reports a body that breaks off inside its compression', async () => {
      const server = await serve((_request, response) => {
        response.setHeader('content-encoding', 'br')
        response.end(brotliCompressSync(randomBytes(100_000)).subarray(0, 50_000))
      })
      const transport = make()
      const error = await failureOf(send(transport, server.origin, '/'))
      expect(['BAD_RESPONSE', 'NETWORK']).toContain(error.code)
      const streamed = await send(transport, server.origin, '/', { stream: true }).response
      await expect(readAll(streamed.body)).rejects.toMatchObject({
        name: expect.stringMatching(/CommsError|NetworkError/),
      })
    })

    it('stops a decompression bomb at the limit, whole and streamed', async () => {
      const bomb = gzipSync(Buffer.alloc(50_000_000))
      const server = await serve((_request, response) => {
        response.setHeader('content-encoding', 'gzip')
        response.end(bomb)
      })
      const transport = make()
      expect(bomb.length).toBeLessThan(100_000)
      expect((await failureOf(send(transport, server.origin, '/'))).code).toBe('RESPONSE_TOO_LARGE')
      const streamed = await send(transport, server.origin, '/', { stream: true }).response
      await expect(readAll(streamed.body)).rejects.toMatchObject({ code: 'RESPONSE_TOO_LARGE' })
    })

    needs('boundedEncodings', 'refuses thousands of content-encodings', async () => {
      const server = await serve((_request, response) => {
        response.setHeader('content-encoding', 'gzip, '.repeat(3000).slice(0, -2))
        response.end(gzipSync('x'))
      })
      const error = await failureOf(send(make(), server.origin, '/'))
      expect(error.code).toBe('BAD_RESPONSE')
      expect(error.message).toMatch(/more than 5/)
    })

    needs('boundedEncodings', 'names a content-encoding that it does not know', async () => {
      const server = await serve((_request, response) => {
        response.setHeader('content-encoding', 'rot13')
        response.end('uryyb')
      })
      const error = await failureOf(send(make(), server.origin, '/'))
      expect(error).toMatchObject({ code: 'BAD_RESPONSE', message: expect.stringMatching(/rot13/) })
    })

    it('stops an endless body at the limit and closes the connection', async () => {
      const server = await serve((_request, response) => {
        const push = () => {
          while (!response.destroyed && response.write(Buffer.alloc(64 * 1024)));
          response.once('drain', push)
        }
        push()
      })
      const error = await failureOf(send(make(), server.origin, '/'))
      expect(error.code).toBe('RESPONSE_TOO_LARGE')
      await until(() => server.connections === 0, 'the connection closes')
    })

    it('refuses a body that announces more than the limit before taking it', async () => {
      const server = await serve((_request, response) => {
        response.writeHead(200, { 'content-length': '5000000' })
        response.flushHeaders()
      })
      expect((await failureOf(send(make(), server.origin, '/'))).code).toBe('RESPONSE_TOO_LARGE')
    })

    it('refuses headers beyond the limit', async () => {
      const server = await serve((_request, response) => {
        response.setHeader('x-large', 'y'.repeat(9000))
        response.end()
      })
      const transport = make({ maxHeaderBytes: 8192 })
      const error = await failureOf(send(transport, server.origin, '/', { maxHeaderBytes: 8192 }))
      expect(error.code).toBe('HEADERS_TOO_LARGE')
    })

    needs('boundedHeaders', 'stops endless headers while they come in', async () => {
      let sentBytes = 0
      const server = await serveRaw((socket) => {
        socket.write('HTTP/1.1 200 OK\r\n')
        const line = `x-more: ${'y'.repeat(1000)}\r\n`
        const push = () => {
          while (!socket.destroyed && socket.write(line)) sentBytes += line.length
          if (!socket.destroyed) socket.once('drain', push)
        }
        push()
      })
      const error = await failureOf(send(make(), server.origin, '/'))
      expect(error.code).toBe('HEADERS_TOO_LARGE')
      await until(() => server.connections === 0, 'the connection closes')
      expect(sentBytes).toBeLessThan(32 * 1024 * 1024)
    })

    it('reports a refused connection', async () => {
      const port = await closedPort()
      const error = await failureOf(send(make(), `http://127.0.0.1:${port}`, '/secret?token=abc'))
      expect(error.code).toBe('NETWORK')
      expect(error.message).not.toMatch(/abc/)
      // Browsers tell pages nothing of why.
      if (name in chromium.transports) return
      expect(error.message).toMatch(/ECONNREFUSED/)
      expect((error as NetworkError).neverSent).toBe(true)
    })

    needs('connectTimeout', 'gives up connecting in time', async () => {
      // Accepts and stays silent: the TLS handshake never ends.
      const server = await serveRaw(() => {})
      const transport = make({ connectTimeout: 50 })
      const outcome = send(transport, server.origin.replace('http:', 'https:'), '/')
      const error = (await failureOf(outcome)) as TimeoutError
      expect(error).toMatchObject({ code: 'TIMEOUT', phase: 'connect', timeoutMs: 50 })
      expect(error.message).toMatch(/timeout/)
      expect(outcome.sent()).toBe(false)
    })

    it.for([
      ['closes without a word', ''],
      ['closes in the middle of the headers', 'HTTP/1.1 200 OK\r\nx-a: b\r\n'],
      ['closes before Content-Length is reached', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'],
      ['closes in the middle of a chunk', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n50\r\nhalf'],
    ] as const)('reports a server that %s, and that it may have acted', async ([what, wire], { skip }) => {
      skip(name in chromium.transports && CHROMIUM_TAKES.has(what), 'Chromium takes it for an answer')
      const server = await serveRaw((socket) => {
        socket.end(wire)
      })
      const error = (await failureOf(send(make(), server.origin, '/'))) as NetworkError
      expect(error.code).toBe('NETWORK')
      expect(error.neverSent).toBe(false)
    })

    it.for([
      ['garbage', 'NONSENSE \u0001\u0002\r\n\r\n'],
      ['another protocol', 'SSH-2.0-OpenSSH_9.6\r\n'],
      ['two different lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'],
      [
        'length and chunking at once',
        'HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
      ],
      [
        'a chunk size that is no number',
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n',
      ],
    ] as const)('reports %s on the wire', async ([what, wire], { skip }) => {
      skip(name in chromium.transports && CHROMIUM_TAKES.has(what), 'Chromium takes it for an answer')
      const server = await serveRaw((socket) => {
        socket.write(wire)
      })
      const error = await failureOf(send(make(), server.origin, '/'))
      expect(error.code).toBe('NETWORK')
    })

    it('takes no more than Content-Length says, whatever follows', async () => {
      const server = await serveRaw((socket) => {
        socket.write(
          'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil',
        )
      })
      const transport = make()
      expect(textOf(await send(transport, server.origin, '/').response)).toBe('ok')
      // Whatever lay behind it never becomes the answer to the next request.
      const next = await send(transport, server.origin, '/').response.then(
        textOf,
        (error: CommsError) => error.code,
      )
      expect(['ok', 'NETWORK']).toContain(next)
    })

    it('waits for the answer behind 1xx', async () => {
      const server = await serveRaw((socket) => {
        socket.write('HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n')
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
      })
      const outcome = send(make(), server.origin, '/')
      expect((await outcome.response).status).toBe(200)
      expect(outcome.heard).toEqual(['sent', 'head 200', 'response'])
    })

    it('puts single bytes together', async () => {
      const server = await serveRaw((socket) => {
        const wire = 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'
        let index = 0
        const timer = setInterval(() => {
          if (index < wire.length && !socket.destroyed) socket.write(wire[index++] as string)
          else clearInterval(timer)
        }, 1)
      })
      expect(textOf(await send(make(), server.origin, '/').response)).toBe('hello')
    })

    it.each([
      ['HEAD', 'HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 5000000000\r\n\r\n'],
      ['204', 'GET', 'HTTP/1.1 204 No Content\r\n\r\n'],
      ['304', 'GET', 'HTTP/1.1 304 Not Modified\r\n\r\n'],
    ])('expects no body with %s', async (_what, method, wire) => {
      const server = await serveRaw((socket) => {
        socket.write(wire)
      })
      const response = await send(make(), server.origin, '/', { method }).response
      expect((response.body as Uint8Array).byteLength).toBe(0)
    })

    needs('manualRedirects', 'hands redirects over instead of following them', async () => {
      const server = await serve((_request, response) => {
        response.writeHead(302, { location: '/elsewhere' }).end('moved')
      })
      const response = await send(make(), server.origin, '/').response
      expect(response.status).toBe(302)
      expect(response.headers.location).toBe('/elsewhere')
      expect(server.requests).toBe(1)
    })

    needs('uploadProgress', 'tells how much has been sent', async () => {
      const server = await serve((_request, response) => response.end())
      const seen: number[] = []
      await send(make(), server.origin, '/', {
        method: 'POST',
        body: new Blob([new Uint8Array(300_000)]),
        onUploadProgress: (sentBytes) => seen.push(sentBytes),
      }).response
      expect(seen.at(-1)).toBe(300_000)
      expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    })

    it('tells how much has come, of how much', async () => {
      const server = await serve((_request, response) => {
        response.setHeader('content-length', 200_000)
        response.end(Buffer.alloc(200_000))
      })
      const seen: [number, number | undefined][] = []
      await send(make(), server.origin, '/', {
        onDownloadProgress: (received, total) => seen.push([received, total]),
      }).response
      expect(seen.at(-1)).toEqual([200_000, 200_000])
    })

    describe('cancel', () => {
      it('before anything happened: nothing is heard, nothing fails', async () => {
        const server = await serve((_request, response) => response.end('late'))
        const outcome = send(make(), server.origin, '/')
        outcome.exchange.cancel(new Error('no'))
        outcome.exchange.cancel(new Error('again'))
        await new Promise((resolve) => setTimeout(resolve, 50))
        expect(outcome.heard.filter((event) => event !== 'sent')).toEqual([])
      })

      it('while the server thinks: the connection closes', async () => {
        const server = await serve(() => {})
        const outcome = send(make(), server.origin, '/')
        await until(() => server.requests === 1, 'the request arrives')
        // From a browser it is told later than the server has it.
        await until(() => outcome.heard.includes('sent'), 'it is told that it was sent')
        outcome.exchange.cancel(new Error('no'))
        await until(() => server.connections === 0, 'the connection closes')
        expect(outcome.heard).toEqual(['sent'])
      })

      it('in the middle of a body: the connection closes', async () => {
        const server = await serve((_request, response) => {
          response.write('half')
        })
        const outcome = send(make(), server.origin, '/')
        await until(() => outcome.heard.includes('head 200'), 'the headers arrive')
        outcome.exchange.cancel(new Error('no'))
        await until(() => server.connections === 0, 'the connection closes')
        expect(outcome.heard).toEqual(['sent', 'head 200'])
      })

      it('of a stream that was handed out: it fails with the reason', async () => {
        const server = await serve((_request, response) => {
          response.write('half')
        })
        const outcome = send(make(), server.origin, '/', { stream: true })
        const reader = ((await outcome.response).body as ReadableStream<Uint8Array>).getReader()
        await reader.read()
        const reason = new Error('no')
        outcome.exchange.cancel(reason)
        await expect(reader.read()).rejects.toBe(reason)
        await until(() => server.connections === 0, 'the connection closes')
      })

      it('after the end: harmless, and the connection lives on', async () => {
        const server = await serve((_request, response) => response.end('ok'))
        const transport = make()
        const outcome = send(transport, server.origin, '/')
        await outcome.response
        outcome.exchange.cancel(new Error('late'))
        // undici takes a connection up again one turn of the event loop later.
        await new Promise((resolve) => setTimeout(resolve, 5))
        expect(textOf(await send(transport, server.origin, '/').response)).toBe('ok')
        expect(server.connections).toBe(1)
      })
    })

    it('a stream cut in the middle fails with a network error', async () => {
      const server = await serve((_request, response) => {
        response.write('half')
        setTimeout(() => response.destroy(), 20)
      })
      const response = await send(make(), server.origin, '/', { stream: true }).response
      await expect(readAll(response.body)).rejects.toMatchObject({ code: 'NETWORK', neverSent: false })
    })

    it('dispose fails what is under way, and what comes after', async () => {
      const server = await serve(() => {})
      const transport = make()
      const outcome = send(transport, server.origin, '/')
      await until(() => server.requests === 1, 'the request arrives')
      transport.dispose()
      await failureOf(outcome)
      const late = send(transport, server.origin, '/')
      expect(late.heard).toEqual([])
      await failureOf(late)
      await until(() => server.connections === 0, 'the connection closes')
    })

    needs('ownsConnections', 'dispose closes idle connections', async () => {
      const server = await serve((_request, response) => response.end('ok'))
      const transport = make()
      await send(transport, server.origin, '/').response
      expect(server.connections).toBe(1)
      transport.dispose()
      await until(() => server.connections === 0, 'the idle connection closes')
    })

    it('reads text: drops a byte order mark, marks wrong bytes', () => {
      const transport = make()
      expect(transport.decodeText(new Uint8Array([0xef, 0xbb, 0xbf, 0x61]))).toBe('a')
      expect(transport.decodeText(Buffer.from('schön'))).toBe('schön')
      expect(transport.decodeText(new Uint8Array([0x61, 0xff]))).toBe('a\ufffd')
      expect(transport.decodeText(new Uint8Array([0, 98, 99]).subarray(1))).toBe('bc')
    })
  },
)
