import { describe, expect, it } from 'vitest'
import { type RedirectQuestion, redirectDecision, redirectHeaders } from './redirects.ts'
import { type OriginRules, parseBase, resolveTarget } from './url.ts'

const target = { origin: 'https://h', path: '/a', pathname: '/a' }
const resolveWith = (rules: OriginRules) => (url: string) => resolveTarget(url, '', rules)
const decide = (wish: Partial<RedirectQuestion>) =>
  redirectDecision({
    status: 302,
    location: '/b',
    method: 'GET',
    target,
    hops: 0,
    maxRedirects: 10,
    hasBody: false,
    replayable: true,
    resolve: resolveWith({ base: undefined, allowedOrigins: new Set(), allowInsecure: true }),
    ...wish,
  })

describe('a redirect', () => {
  it.each([
    [301, 'GET', 'GET', true],
    [301, 'POST', 'GET', false],
    [301, 'PUT', 'PUT', true],
    [302, 'POST', 'GET', false],
    [302, 'PATCH', 'PATCH', true],
    [303, 'POST', 'GET', false],
    [303, 'PUT', 'GET', false],
    [303, 'HEAD', 'HEAD', true],
    [303, 'GET', 'GET', true],
    [307, 'POST', 'POST', true],
    [308, 'POST', 'POST', true],
    [308, 'HEAD', 'HEAD', true],
  ])('%i turns %s into %s', (status, method, next, keepBody) => {
    expect(decide({ status, method, hasBody: true })).toMatchObject({
      action: 'follow',
      method: next,
      keepBody,
    })
  })

  it.each([
    [{ status: 300 }],
    [{ status: 304 }],
    [{ status: 305 }],
    [{ location: undefined }],
    [{ maxRedirects: 0 }],
  ])('is handed over as it is: %j', (wish) => {
    expect(decide(wish)).toEqual({ action: 'deliver' })
  })

  it('ends after maxRedirects', () => {
    expect(decide({ hops: 9 })).toMatchObject({ action: 'follow' })
    expect(() => decide({ hops: 10 })).toThrow(/more than 10 redirects/)
  })

  it('is checked at every hop: to another origin only where it is allowed', () => {
    const resolve = resolveWith({
      base: parseBase('https://h'),
      allowedOrigins: new Set(['https://ok']),
      allowInsecure: true,
    })
    expect(() => decide({ location: 'https://evil/x', resolve })).toThrow(/not allowed/)
    expect(decide({ location: 'https://ok/x', resolve })).toMatchObject({ crossOrigin: true })
    expect(decide({ location: 'https://h/x', resolve })).toMatchObject({ crossOrigin: false })
  })

  it('never leads from https to http', () => {
    expect(() => decide({ location: 'http://h/x' })).toThrow(/https to http/)
  })

  it('cannot send a stream a second time', () => {
    expect(() => decide({ status: 307, method: 'POST', hasBody: true, replayable: false })).toThrow(/stream/)
    expect(decide({ status: 303, method: 'POST', hasBody: true, replayable: false })).toMatchObject({
      keepBody: false,
    })
  })
})

describe('headers of the next hop', () => {
  const headers = {
    authorization: 'Bearer x',
    cookie: 'a=1',
    'proxy-authorization': 'Basic y',
    'x-api-key': 'k',
    accept: '*/*',
    'content-type': 'text/plain',
  }
  const sensitive = new Set(['x-api-key'])

  it('keep everything within the origin', () => {
    const next = redirectHeaders(headers, { keepBody: true, crossOrigin: false }, sensitive)
    expect({ ...next }).toEqual(headers)
  })

  it('leave credentials and what is marked behind when the origin changes (CVE-2022-0155, CVE-2024-28849)', () => {
    const next = redirectHeaders(headers, { keepBody: true, crossOrigin: true }, sensitive)
    expect({ ...next }).toEqual({ accept: '*/*', 'content-type': 'text/plain' })
  })

  it('leave what describes the body behind with the body', () => {
    const next = redirectHeaders(headers, { keepBody: false, crossOrigin: true }, sensitive)
    expect({ ...next }).toEqual({ accept: '*/*' })
  })
})
