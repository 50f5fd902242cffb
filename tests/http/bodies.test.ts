// What a request body is, told by what it can do and not by whose it is: every kind, of every origin, on both transports.

import { createReadStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { runInNewContext } from 'node:vm'
import NodeForm from 'form-data'
import * as undici from 'undici'
import { describe, expect, it, onTestFinished } from 'vitest'
import { failureOf, serve, transports } from '../support/apiClients.ts'

/** The part of jsdom that is used. */
interface Jsdom {
  readonly JSDOM: new (html: string) => { readonly window: typeof globalThis }
}
const jsdom = 'jsdom' // in a variable: the compiler asks for no types of it
const { JSDOM } = (await import(jsdom)) as Jsdom
const { window } = new JSDOM('')

const text = 'the body'
const bytes = new TextEncoder().encode(text)
const OCTETS = 'application/octet-stream'
const QUERY = 'application/x-www-form-urlencoded;charset=UTF-8'

/** Yields what may be used once, so that each test gets its own. */
const bodies: Record<string, [make: () => unknown, type: string, body?: string]> = {
  'bytes of another realm': [() => runInNewContext('Uint8Array.from(given)', { given: [...bytes] }), OCTETS],
  'a buffer of another realm': [
    () => runInNewContext('Uint8Array.from(given).buffer', { given: [...bytes] }),
    OCTETS,
  ],
  'shared memory': [
    () => {
      const shared = new SharedArrayBuffer(bytes.byteLength)
      new Uint8Array(shared).set(bytes)
      return shared
    },
    OCTETS,
  ],
  'a Blob of jsdom': [() => new window.Blob([text], { type: 'text/x' }), 'text/x'],
  'a File of jsdom': [() => new window.File([text], 'a.txt'), OCTETS],
  'a query of jsdom': [() => new window.URLSearchParams({ a: 'b c' }), QUERY, 'a=b+c'],
  'a web stream': [() => new Blob([text]).stream(), OCTETS],
  'a stream that only looks like a web stream': [
    () => {
      const reader = new Blob([text]).stream().getReader()
      return { getReader: () => reader }
    },
    OCTETS,
  ],
  'a node stream': [() => Readable.from([Buffer.from('the '), 'body']), OCTETS],
  'an async generator': [
    async function* () {
      yield 'the '
      yield runInNewContext('Uint8Array.from(given)', { given: [...new TextEncoder().encode('body')] })
    },
    OCTETS,
  ],
}

describe.each(transports)('bodies on the %s transport', (name, make) => {
  const echo = () =>
    serve(
      (request, response) => {
        const {
          'content-type': type,
          'content-length': length,
          'transfer-encoding': coding,
        } = request.headers
        const form = new Response(new Uint8Array(request.body), { headers: { 'content-type': type ?? '' } })
        const answer = (fields: unknown) =>
          response
            .writeHead(200, { 'content-type': 'application/json' })
            .end(JSON.stringify({ type, length, coding, body: request.body.toString(), fields }))
        if (!type?.startsWith('multipart/')) answer(undefined)
        else
          form.formData().then(
            async (fields) => {
              const list = [...fields].map(async ([key, value]) => [
                key,
                typeof value === 'string' ? value : [value.name, value.type, await value.text()],
              ])
              answer(Object.fromEntries(await Promise.all(list)))
            },
            (error) => answer(String(error)),
          )
      },
      { retries: 0 },
      make,
    )

  it.each(Object.entries(bodies))('%s', async (_kind, [body, type, content = text]) => {
    const { client } = await echo()
    const made = body()
    expect(await client.post('/', made)).toMatchObject({ type, body: content })
  })

  const forms: Record<string, () => unknown> = {
    jsdom: () => {
      const form = new window.FormData()
      form.append('name', 'value')
      form.append('file', new window.File(['data'], 'a.txt', { type: 'text/x' }))
      return form
    },
    undici: () => {
      const form = new undici.FormData()
      form.append('name', 'value')
      form.append('file', new File(['data'], 'a.txt', { type: 'text/x' }))
      return form
    },
    'the platform': () => {
      const form = new FormData()
      form.append('name', 'value')
      form.append('file', new File(['data'], 'a.txt', { type: 'text/x' }))
      return form
    },
    'the package form-data': () => {
      const form = new NodeForm()
      form.append('name', 'value')
      form.append('file', Buffer.from('data'), { filename: 'a.txt', contentType: 'text/x' })
      return form
    },
  }
  const fields = { name: 'value', file: ['a.txt', 'text/x', 'data'] }

  it.each(Object.entries(forms))('a form of %s, its length known', async (_whose, form) => {
    const { client } = await echo()
    const answer = await client.post<{ length?: string; coding?: string }>('/', form())
    expect(answer).toMatchObject({ fields })
    expect(Number(answer.length)).toBeGreaterThan(100)
  })

  it.each(Object.entries(forms))(
    'a form of %s, where the caller wrote a header without the boundary',
    async (_whose, form) => {
      const { client } = await echo()
      for (const type of ['multipart/form-data', 'Multipart/Form-Data; charset=utf-8'])
        expect(await client.post('/', form(), { headers: { 'Content-Type': type } })).toMatchObject({
          fields,
        })
    },
  )

  it('a form of form-data that holds a file of unknown length', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'guru-bodies-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const file = join(folder, 'a.txt')
    writeFileSync(file, 'data')
    const form = new NodeForm()
    form.append('name', 'value')
    form.append('file', createReadStream(file), { contentType: 'text/x' })
    const { client } = await echo()
    expect(await client.post('/', form)).toMatchObject({ fields, coding: 'chunked' })
  })

  it('keeps the length that the caller tells of a stream', async () => {
    const { client } = await echo()
    const answer = await client.post('/', Readable.from(['the ', 'bödy']), {
      headers: { 'Content-Length': '9' },
    })
    expect(answer).toMatchObject({ length: '9', body: 'the bödy' })
    expect(answer).not.toHaveProperty('coding')
  })

  it.each([
    ['longer', ['the ', 'body', ' and more'], /content-length says 8 bytes.*17/],
    ['shorter', ['the '], /content-length says 8 bytes.*4/],
  ])('a stream that is %s than was told is the mistake of the caller', async (_how, chunks, message) => {
    const { client } = await echo()
    const error = await failureOf(
      client.post('/', Readable.from(chunks), { headers: { 'content-length': 8 }, retryUnsafe: true }),
    )
    expect(error).toMatchObject({ code: 'BAD_REQUEST', attempts: 1 })
    expect(error.message).toMatch(message)
    expect(client.getCircuitBreakerState().failureCount).toBe(0)
  })

  it('tells how much of how much has been sent, where that is known', async () => {
    const { client } = await echo()
    const last = async (body: unknown, headers = {}) => {
      const seen: unknown[] = []
      const onUploadProgress = (...told: unknown[]) => void seen.push(told)
      await client.post('/', body, { headers, onUploadProgress })
      return seen.at(-1)
    }
    const known = name === 'undici' ? [9, 9] : undefined
    const unknown = name === 'undici' ? [9, undefined] : undefined
    expect(await last('the bödy')).toEqual(known)
    expect(await last(new TextEncoder().encode('the bödy'))).toEqual(known)
    expect(await last(Readable.from(['the bödy']))).toEqual(unknown)
    expect(await last(Readable.from(['the bödy']), { 'content-length': 9 })).toEqual(known)
  })

  it('takes no length for what has its own, and none from the headers of the client', async () => {
    const { client } = await echo()
    expect(await client.post('/', text, { headers: { 'content-length': 3 } })).toMatchObject({
      length: '8',
      body: text,
    })
    expect(await client.post('/', bytes, { headers: { 'content-length': 3 } })).toMatchObject({ length: '8' })
    const other = client.extend({ headers: { 'content-length': '3' } })
    expect(await other.post('/', Readable.from([text]))).toMatchObject({ coding: 'chunked', body: text })
    other.dispose()
  })

  it('answers without an own __proto__, errors and lines of streams too', async () => {
    const { client } = await serve(
      (request, response) => {
        response.writeHead(request.url === '/error' ? 400 : 200, { 'content-type': 'application/json' })
        response.end('{"__proto__":{"admin":true},"a":1}\n')
      },
      {},
      make,
    )
    const seen: unknown[] = [await client.get('/'), (await failureOf(client.get('/error'))).body]
    for await (const line of client.stream('/', { format: 'ndjson' })) seen.push(line)
    for (const value of seen) {
      expect(Object.keys(value as object)).toEqual(['a'])
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    }
    expect(seen).toHaveLength(3)
  })
})
