// Fetch standard, 5.5 Response class, 4.7 HTTP-network fetch: what a response tells, and how its body is read.

import { createHash } from 'node:crypto'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { until } from '../../support/misbehavingServer.ts'
import { fetches, origin, rejection } from './fetches.ts'

const large = 'x'.repeat(300_000)

describe.each(fetches)('responses: %s', (_name, make) => {
  it.each([200, 201, 299, 300, 304, 400, 404, 418, 500, 599, 999])('has the status %d', async (status) => {
    const url = await origin((_, response) => response.writeHead(status, 'As It Is').end())
    const response = await make()(url)
    expect([response.status, response.statusText, response.ok]).toEqual([status, 'As It Is', status < 300])
  })

  it('says what it is, its clone too', async () => {
    const url = await origin((_, response) => response.writeHead(201, 'Made', { 'x-a': '1' }).end('body'))
    const response = await make()(`${url}/p?q#fragment`)
    const copy = response.clone()
    const copyOfCopy = copy.clone()
    for (const each of [response, copy, copyOfCopy]) {
      expect(each).toBeInstanceOf(Response)
      const { status, statusText, ok, type, redirected, url: from, bodyUsed } = each
      expect({ status, statusText, ok, type, redirected, from, bodyUsed }).toEqual({
        status: 201,
        statusText: 'Made',
        ok: true,
        type: 'basic',
        redirected: false,
        from: `${url}/p?q`,
        bodyUsed: false,
      })
      expect(each.headers.get('X-A')).toBe('1')
      expect(Object.prototype.toString.call(each)).toBe('[object Response]')
      expect(each.constructor.name).toBe('Response')
      expect(await each.text()).toBe('body')
    }
  })

  it('has several cookies as several, other headers joined', async () => {
    const url = await origin((_, response) =>
      response
        .setHeaders(
          new Map<string, string | string[]>([
            ['set-cookie', ['a=1', 'b=2']],
            ['vary', ['x', 'y']],
            ['x-latin', 'é'],
          ]),
        )
        .end(),
    )
    const { headers } = await make()(url)
    expect(headers.getSetCookie()).toEqual(['a=1', 'b=2'])
    expect(headers.get('vary')).toBe('x, y')
    expect(headers.get('x-latin')).toBe('é')
  })

  it.each([204, 205, 304])('has no body with the status %d', async (status) => {
    const url = await origin((_, response) => response.writeHead(status).end())
    const response = await make()(url)
    expect(response.body).toBeNull()
    expect(await response.text()).toBe('')
  })

  it('has no body for HEAD, and the length that GET would have', async () => {
    const url = await origin((_, response) => response.writeHead(200, { 'content-length': 5 }).end())
    const response = await make()(url, { method: 'HEAD' })
    expect([response.body, response.headers.get('content-length'), await response.text()]).toEqual([
      null,
      '5',
      '',
    ])
  })

  describe.each([
    ['small', '{"a":"ä"}'],
    ['large', JSON.stringify(large)],
  ])('a %s body', (_size, body) => {
    const bytes = new TextEncoder().encode(body)
    const serve = () => origin((_, response) => response.writeHead(200, { 'content-type': 'a/b' }).end(body))

    it('is read in every form, once', async () => {
      const url = await serve()
      const get = () => make()(url)
      expect(await (await get()).text()).toBe(body)
      expect(await (await get()).json()).toEqual(JSON.parse(body))
      expect(new Uint8Array(await (await get()).arrayBuffer())).toEqual(bytes)
      expect(await (await get()).bytes()).toEqual(bytes)
      const blob = await (await get()).blob()
      expect([blob.type, blob.size]).toEqual(['a/b', bytes.byteLength])
      const response = await get()
      await response.text()
      expect(response.bodyUsed).toBe(true)
      expect(await rejection(response.json())).toBeInstanceOf(TypeError)
      expect(() => response.clone()).toThrow(TypeError)
    })

    it('is a stream of bytes', async () => {
      const response = await make()(await serve())
      expect(response.body).toBe(response.body)
      const chunks: Uint8Array[] = []
      for await (const chunk of response.body as ReadableStream<Uint8Array>) {
        expect(chunk).toBeInstanceOf(Uint8Array)
        chunks.push(chunk)
      }
      expect(Buffer.concat(chunks).equals(bytes)).toBe(true)
      expect(response.bodyUsed).toBe(true)
    })

    it('is read into memory of the reader (BYOB)', async () => {
      const response = await make()(await serve())
      const reader = (response.body as ReadableStream<Uint8Array>).getReader({ mode: 'byob' })
      const chunks: Uint8Array[] = []
      let buffer = new ArrayBuffer(1000)
      for (;;) {
        const { done, value } = await reader.read(new Uint8Array(buffer))
        if (done) break
        expect(value.byteLength).toBeLessThanOrEqual(1000)
        chunks.push(value.slice())
        buffer = value.buffer
      }
      expect(Buffer.concat(chunks).equals(bytes)).toBe(true)
      await reader.closed
    })

    it('is read by both of a clone', async () => {
      const response = await make()(await serve())
      const copy = response.clone()
      expect(await Promise.all([response.text(), copy.text()])).toEqual([body, body])
    })

    it('goes on in another Response', async () => {
      const response = await make()(await serve())
      const other = new Response(response.body, response)
      expect([other.status, other.headers.get('content-type'), await other.text()]).toEqual([
        200,
        'a/b',
        body,
      ])
    })
  })

  it('reads a form', async () => {
    const url = await origin((request, response) =>
      response.writeHead(200, { 'content-type': request.headers['content-type'] }).end(request.body),
    )
    const form = new FormData()
    form.append('a', 'b')
    const answer = await make()(url, { method: 'POST', body: form })
    expect((await answer.formData()).get('a')).toBe('b')
  })

  it.each([
    ['gzip', gzipSync],
    ['deflate', deflateSync],
    ['br', brotliCompressSync],
  ])('undoes %s; its headers are as they came', async (coding, pack) => {
    const url = await origin((request, response) => {
      const packed = pack(request.url === '/small' ? 'small' : large)
      response.writeHead(200, { 'content-encoding': coding, 'content-length': packed.length }).end(packed)
    })
    const response = await make()(`${url}/small`)
    expect(response.headers.get('content-encoding')).toBe(coding)
    expect(response.headers.get('content-length')).toBe(String(pack('small').length))
    expect(await response.text()).toBe('small')
    expect(await (await make()(`${url}/large`)).text()).toBe(large)
  })

  it('takes gzip that lacks its trailer', async () => {
    const packed = gzipSync(large).subarray(0, -8)
    const url = await origin((_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(packed),
    )
    expect(await (await make()(url)).text()).toBe(large)
  })

  it('fails while it is read where it is packed wrongly', async () => {
    const url = await origin((_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end('no gzip'),
    )
    const response = await make()(url)
    expect(response.status).toBe(200)
    expect(await rejection(response.text())).toBeInstanceOf(TypeError)
  })

  it('comes before its body, which is read as it comes', async () => {
    let release = () => {}
    const url = await origin((_, response) => {
      response.write('first')
      release = () => response.end('last')
    })
    const response = await make()(url)
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe('first')
    release()
    expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe('last')
    expect((await reader.read()).done).toBe(true)
  })

  it('fails with a TypeError where the connection breaks in the body, the network as its cause', async () => {
    const url = await origin((_, response) => {
      response.writeHead(200, { 'content-length': 1000 })
      response.write('some')
      setImmediate(() => response.destroy())
    })
    const error = (await make()(url).then(
      (response) => rejection(response.text()),
      (error) => error,
    )) as Error
    expect(error).toBeInstanceOf(TypeError)
    expect(error.cause).toBeInstanceOf(Error)
  })

  it('ends the request when its body is cancelled', async () => {
    let closed = false
    const url = await origin((_, response) => {
      response.on('close', () => {
        closed = true
      })
      response.write('x')
    })
    const response = await make()(url)
    await response.body?.cancel()
    await until(() => closed, 'the request ends')
  })

  const hash = (text: string, algorithm = 'sha256') =>
    `${algorithm}-${createHash(algorithm).update(text).digest('base64')}`
  it.each([
    ['the right hash', hash('body'), true],
    ['a wrong hash', hash('other'), false],
    ['one of several', `${hash('other')} ${hash('body')}`, true],
    ['the strongest of several alone', `${hash('body')} ${hash('other', 'sha512')}`, false],
    ['the strongest of several', `${hash('other')} ${hash('body', 'sha384')}`, true],
    ['nothing that is known', 'md5-abc nonsense', true],
  ])('checks integrity: %s', async (_what, integrity, fits) => {
    const url = await origin((_, response) => response.end('body'))
    const answer = make()(url, { integrity }).then((response) => response.text())
    if (fits) expect(await answer).toBe('body')
    else expect(await rejection(answer)).toBeInstanceOf(TypeError)
  })

  it.each([
    ['data:text/plain;charset=utf-8,hello%20there', 'hello there', 'text/plain;charset=utf-8'],
    ['data:application/json;base64,eyJhIjoxfQ==', '{"a":1}', 'application/json'],
  ])('reads %s', async (url, body, type) => {
    const response = await make()(url)
    expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
      200,
      type,
      body,
    ])
    expect(await (await make()(new Request(url))).text()).toBe(body)
  })

  it('reads a blob: URL', async () => {
    const url = URL.createObjectURL(new Blob(['blob'], { type: 'a/b' }))
    const response = await make()(url)
    expect([response.headers.get('content-type'), await response.text()]).toEqual(['a/b', 'blob'])
    URL.revokeObjectURL(url)
    expect(await rejection(make()(url))).toBeInstanceOf(TypeError)
  })

  it('fails with a TypeError where nobody answers', async () => {
    const url = await origin((request) => request.socket.destroy())
    const error = (await rejection(make()(url))) as Error
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toBe('fetch failed')
    expect(error.cause).toBeInstanceOf(Error)
  })
})
