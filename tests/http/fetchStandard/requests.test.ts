// Fetch standard, 5.3 Body, 5.4 Request class, 5.6 fetch method: what is sent for an input and an init, and what is refused.

import { describe, expect, it } from 'vitest'
import { echo, echoed, fetches, rejection } from './fetches.ts'

describe.each(fetches)('requests: %s', (_name, make) => {
  it.each(['get', 'Post', 'DELETE', 'put', 'options'])('writes the method %s in capitals', async (method) => {
    expect((await echoed(make()(await echo(), { method }))).method).toBe(method.toUpperCase())
  })

  it.each(['CONNECT', 'trace', 'TRACK', 'a b', '', 'é'])('refuses the method "%s"', async (method) => {
    expect(await rejection(make()(await echo(), { method }))).toBeInstanceOf(TypeError)
  })

  it.each([
    ['text', () => 'añb', 'text/plain;charset=UTF-8', 'aÃ±b'],
    ['no text', () => '', 'text/plain;charset=UTF-8', ''],
    ['a number', () => 5, 'text/plain;charset=UTF-8', '5'],
    ['false', () => false, 'text/plain;charset=UTF-8', 'false'],
    ['an object', () => ({ a: 1 }), 'text/plain;charset=UTF-8', '[object Object]'],
    ['an array', () => [1, 2], 'text/plain;charset=UTF-8', '1,2'],
    [
      'a query',
      () => new URLSearchParams({ a: 'b c' }),
      'application/x-www-form-urlencoded;charset=UTF-8',
      'a=b+c',
    ],
    ['a Blob', () => new Blob(['x'], { type: 'text/x' }), 'text/x', 'x'],
    ['a Blob without a type', () => new Blob(['x']), undefined, 'x'],
    ['a buffer', () => new TextEncoder().encode('x').buffer, undefined, 'x'],
    ['a view', () => new DataView(new TextEncoder().encode('axb').buffer, 1, 1), undefined, 'x'],
  ])('sends %s with its type and length', async (_what, body, type, sent) => {
    const answer = await echoed(make()(await echo(), { method: 'POST', body: body() as BodyInit }))
    expect([answer.body, answer.headers['content-type'], answer.headers['content-length']]).toEqual([
      sent,
      type,
      String(sent.length),
    ])
  })

  it('sends a form with a boundary of its own', async () => {
    const form = new FormData()
    form.append('a', 'b')
    form.append('f', new File(['data'], 'n.txt', { type: 'text/x' }))
    const { headers, body } = await echoed(make()(await echo(), { method: 'POST', body: form }))
    const parsed = await new Response(body, {
      headers: { 'content-type': headers['content-type'] ?? '' },
    }).formData()
    expect(parsed.get('a')).toBe('b')
    expect(await (parsed.get('f') as File).text()).toBe('data')
  })

  it('sends a stream, and needs to be told that it is one', async () => {
    const url = await echo()
    const stream = () => new Blob(['abc']).stream()
    const init = { method: 'POST', body: stream(), duplex: 'half' } as RequestInit
    const answer = await echoed(make()(url, init))
    expect([answer.body, answer.headers['content-type'], answer.headers['transfer-encoding']]).toEqual([
      'abc',
      undefined,
      'chunked',
    ])
    expect(await rejection(make()(url, { method: 'POST', body: stream() }))).toBeInstanceOf(TypeError)
  })

  it('takes the length that the body has', async () => {
    const url = await echo()
    const send = (length: string) =>
      make()(url, { method: 'POST', body: 'body', headers: { 'content-length': length } })
    expect((await echoed(send('4'))).body).toBe('body')
  })

  it('keeps the type that the caller says', async () => {
    for (const body of ['{}', new TextEncoder().encode('{}'), new Blob(['{}'], { type: 'a/b' })]) {
      const init = { method: 'POST', body, headers: { 'Content-Type': 'application/json' } }
      expect((await echoed(make()(await echo(), init))).headers['content-type']).toBe('application/json')
    }
  })

  it.each(['GET', 'HEAD', 'get'])('refuses a body of %s', async (method) => {
    expect(await rejection(make()(await echo(), { method, body: 'x' }))).toBeInstanceOf(TypeError)
    expect((await make()(await echo(), { method, body: null })).status).toBe(200)
  })

  it('sends the length 0 of an empty POST, and none of a GET', async () => {
    const url = await echo()
    expect((await echoed(make()(url, { method: 'POST' }))).headers['content-length']).toBe('0')
    expect((await echoed(make()(url))).headers['content-length']).toBeUndefined()
  })

  it.each<[string, unknown]>([
    ['an object', { 'X-A': '1', 'x-b': ' 2 ' }],
    [
      'pairs',
      [
        ['X-A', '1'],
        ['x-b', '2'],
      ],
    ],
    ['Headers', new Headers({ 'x-a': '1', 'x-b': '2' })],
    [
      'a Map',
      new Map([
        ['x-a', '1'],
        ['x-b', '2'],
      ]),
    ],
  ])('takes headers as %s', async (_what, headers) => {
    const answer = await echoed(make()(await echo(), { headers: headers as Record<string, string> }))
    expect([answer.headers['x-a'], answer.headers['x-b']]).toEqual(['1', '2'])
  })

  it('joins headers that are given twice', async () => {
    const headers: [string, string][] = [
      ['X-A', '1'],
      ['x-a', '2'],
    ]
    expect((await echoed(make()(await echo(), { headers }))).headers['x-a']).toBe('1, 2')
  })

  it('accepts anything, unless the caller says what', async () => {
    const url = await echo()
    expect((await echoed(make()(url))).headers.accept).toBe('*/*')
    expect((await echoed(make()(url, { headers: { accept: 'a/b' } }))).headers.accept).toBe('a/b')
    expect((await echoed(make()(url))).headers['user-agent']).toBeTruthy()
    expect((await echoed(make()(url, { headers: { 'user-agent': 'me' } }))).headers['user-agent']).toBe('me')
  })

  it.each<[string, unknown]>([
    ['a header name with a space', { headers: { 'a b': 'x' } }],
    ['a header value with a line end', { headers: { a: 'x\ny' } }],
    ['a header value beyond Latin-1', { headers: { a: '✓' } }],
    ['pairs that are none', { headers: [['a']] }],
    ['an unknown redirect', { redirect: 'maybe' }],
    ['an unknown mode', { mode: 'maybe' }],
    ['the mode navigate', { mode: 'navigate' }],
    ['unknown credentials', { credentials: 'maybe' }],
    ['an unknown cache', { cache: 'maybe' }],
    ['an unknown referrer policy', { referrerPolicy: 'maybe' }],
    ['a window', { window: {} }],
    ['a signal that is none', { signal: {} }],
    ['full duplex', { method: 'POST', body: new Blob(['x']).stream(), duplex: 'full' }],
  ])('refuses %s', async (_what, init) => {
    expect(await rejection(make()(await echo(), init as RequestInit))).toBeInstanceOf(TypeError)
  })

  it.each([
    'http://user:secret@127.0.0.1:1/',
    'http://',
    'nonsense://x',
    'about:blank',
    'http://a b/',
    '/relative',
  ])('refuses the URL %s', async (url) => {
    const error = (await rejection(make()(url))) as Error
    expect(error).toBeInstanceOf(TypeError)
  })

  it('takes a URL object, leaves out the fragment, and drops spaces around', async () => {
    const url = await echo()
    expect((await echoed(make()(new URL('/a?b=c#d', url)))).url).toBe('/a?b=c')
    expect((await echoed(make()(`  ${url}/x y#z `))).url).toBe('/x%20y')
  })

  it('takes null for init', async () => {
    expect((await make()(await echo(), null as unknown as RequestInit)).status).toBe(200)
  })

  describe('a Request', () => {
    it('is sent as it says', async () => {
      const request = new Request(`${await echo()}/p`, {
        method: 'PUT',
        headers: { 'x-a': '1' },
        body: 'body',
      })
      const answer = await echoed(make()(request))
      expect([
        answer.method,
        answer.url,
        answer.body,
        answer.headers['x-a'],
        answer.headers['content-type'],
      ]).toEqual(['PUT', '/p', 'body', '1', 'text/plain;charset=UTF-8'])
      expect(answer.headers['content-length']).toBe('4')
      expect(request.bodyUsed).toBe(true)
    })

    it('with an init that replaces its parts', async () => {
      const request = new Request(await echo(), { method: 'PUT', headers: { 'x-a': '1' }, body: 'body' })
      const answer = await echoed(make()(request, { method: 'POST', headers: { 'x-b': '2' }, body: 'other' }))
      expect([answer.method, answer.body, answer.headers['x-a'], answer.headers['x-b']]).toEqual([
        'POST',
        'other',
        undefined,
        '2',
      ])
    })

    it('can be sent once', async () => {
      const request = new Request(await echo(), { method: 'POST', body: 'x' })
      await make()(request)
      expect(await rejection(make()(request))).toBeInstanceOf(TypeError)
    })

    it('whose body has been read is refused', async () => {
      const request = new Request(await echo(), { method: 'POST', body: 'x' })
      await request.text()
      expect(await rejection(make()(request))).toBeInstanceOf(TypeError)
    })
  })

  it('refuses a stream that is locked or has been read', async () => {
    const url = await echo()
    const locked = new Blob(['x']).stream()
    locked.getReader()
    const read = new Blob(['x']).stream()
    for await (const _ of read);
    for (const body of [locked, read])
      expect(
        await rejection(make()(url, { method: 'POST', body, duplex: 'half' } as RequestInit)),
      ).toBeInstanceOf(TypeError)
  })
})
