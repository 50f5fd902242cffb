import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { type BodyFactory, makeBody, NO_BODY, prepareBody } from './body.ts'

describe('a request body', () => {
  it.each([
    ['an object', { a: 1 }, '{"a":1}', 'application/json'],
    ['an array', [1, 2], '[1,2]', 'application/json'],
    ['a number', 0, '0', 'application/json'],
    ['a boolean', false, 'false', 'application/json'],
    [
      'an object without a prototype',
      Object.assign(Object.create(null), { a: 1 }),
      '{"a":1}',
      'application/json',
    ],
    ['an object of another realm', runInNewContext('({ a: [1] })'), '{"a":[1]}', 'application/json'],
    ['an array of another realm', runInNewContext('[1]'), '[1]', 'application/json'],
    [
      'a date of another realm',
      runInNewContext('new Date(0)'),
      '"1970-01-01T00:00:00.000Z"',
      'application/json',
    ],
    [
      'what has toJSON',
      new (class {
        toJSON = () => 7
      })(),
      '7',
      'application/json',
    ],
    ['a date', new Date(0), '"1970-01-01T00:00:00.000Z"', 'application/json'],
    ['text', 'hi', 'hi', 'text/plain;charset=UTF-8'],
    ['no text', '', '', 'text/plain;charset=UTF-8'],
    [
      'a form',
      new URLSearchParams({ a: '1', b: 'x y' }),
      'a=1&b=x+y',
      'application/x-www-form-urlencoded;charset=UTF-8',
    ],
  ])('made of %s', (_what, data, content, contentType) => {
    expect(prepareBody(data)).toEqual({ content, contentType, replayable: true })
  })

  it('is none for undefined and null', () => {
    expect(prepareBody(undefined)).toBe(NO_BODY)
    expect(prepareBody(null)).toBe(NO_BODY)
  })

  it('takes bytes as they are, and only those of the view', () => {
    const buffer = new Uint8Array([1, 2, 3, 4]).buffer
    expect(prepareBody(buffer).content).toEqual(new Uint8Array([1, 2, 3, 4]))
    expect(prepareBody(new DataView(buffer, 1, 2)).content).toEqual(new Uint8Array([2, 3]))
    expect(prepareBody(new Uint16Array(buffer, 2, 1)).content).toEqual(new Uint8Array([3, 4]))
  })

  it('copies memory that is shared: it may change while it is sent', () => {
    const shared = new SharedArrayBuffer(4)
    new Uint8Array(shared).set([1, 2, 3, 4])
    for (const [data, bytes] of [
      [shared, [1, 2, 3, 4]],
      [new Uint8Array(shared, 1, 2), [2, 3]],
      [new DataView(shared, 3), [4]],
    ] as const) {
      const content = prepareBody(data).content as Uint8Array
      expect([...content]).toEqual(bytes)
      expect(content.buffer).toBeInstanceOf(ArrayBuffer)
    }
  })

  it('takes buffers and views of another realm', () => {
    for (const made of ['new Uint8Array([1, 2]).buffer', 'new Uint8Array([1, 2])', 'new Uint16Array([513])'])
      expect(prepareBody(runInNewContext(made)).content).toEqual(new Uint8Array([1, 2]))
  })

  it('of a Blob has the type of the Blob', () => {
    expect(prepareBody(new Blob(['x'], { type: 'image/png' })).contentType).toBe('image/png')
    expect(prepareBody(new Blob(['x'])).contentType).toBe('application/octet-stream')
  })

  it('of FormData can be sent again, files included', async () => {
    const form = new FormData()
    form.append('name', 'a\nb')
    form.append('file', new File(['data'], 'x"y.txt', { type: 'text/x' }))
    const { content, contentType, replayable } = prepareBody(form)
    expect(replayable).toBe(true)
    expect(contentType).toMatch(/^multipart\/form-data; boundary=/)
    const parsed = await new Response((await (content as BodyFactory)()) as Blob, {
      headers: { 'content-type': contentType as string },
    }).formData()
    expect(parsed.get('name')).toBe('a\r\nb')
    const file = parsed.get('file') as File
    expect([file.name, file.type, await file.text()]).toEqual(['x"y.txt', 'text/x', 'data'])
  })

  it('refuses line ends in the names of a form', async () => {
    const form = new FormData()
    form.append('a"\r\ncontent-type: evil', 'x')
    const { content } = prepareBody(form)
    await expect((content as BodyFactory)()).rejects.toThrow(/line end/)
  })

  it('of a stream can be sent once, of a function again and again', () => {
    expect(prepareBody(new Blob(['x']).stream()).replayable).toBe(false)
    expect(prepareBody((async function* () {})()).replayable).toBe(false)
    expect(prepareBody(() => 'x').replayable).toBe(true)
  })

  const circle: Record<string, unknown> = {}
  circle.self = circle
  it.each([
    ['a circle', circle, /not JSON.*circular/],
    ['a bigint', 1n, /bigint/],
    ['a bigint inside', { n: 1n }, /not JSON/],
    ['a symbol', Symbol('x'), /symbol/],
    ['a Map', new Map(), /a Map has no form/],
    ['a Set', new Set(), /a Set has no form/],
    ['a RegExp', /x/, /a RegExp has no form/],
    ['an Error', new TypeError('x'), /an? (Type)?Error has no form/],
    ['an object of a class', new (class Basket {})(), /a Basket has no form/],
    ['an object of a class in another realm', runInNewContext('new (class Cart {})()'), /a Cart has no form/],
    ['boxed text', Object('x'), /a String has no form/],
    ['a generator', (function* () {})(), /a Generator has no form/],
    ['a Response', new Response('x'), /a Response has no form/],
    ['Headers', new Headers(), /a Headers has no form/],
    ['a WeakMap', new WeakMap(), /a WeakMap has no form/],
    ['a promise', Promise.resolve(1), /await it first/],
    ['nothing, by toJSON', { toJSON: () => undefined }, /toJSON/],
  ])('refuses %s, and says why', (_what, data, message) => {
    expect(() => prepareBody(data)).toThrow(message)
    try {
      prepareBody(data)
    } catch (error) {
      expect(error).toMatchObject({ code: 'BAD_REQUEST' })
    }
  })

  it('made by a function must be something that can be sent', async () => {
    expect(await makeBody(() => 'x')).toBe('x')
    for (const made of [undefined, null, 5, { a: 1 }])
      await expect(makeBody(() => made as never)).rejects.toThrow(/must return/)
    const fail = () => Promise.reject(new Error('own'))
    await expect(makeBody(fail)).rejects.toMatchObject({ code: 'BAD_REQUEST', cause: { message: 'own' } })
  })
})
