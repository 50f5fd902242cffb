import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from 'vitest'
import { isLoopbackAddress, refusal } from './access.ts'

const asked = (headers: Record<string, string>) => ({ headers }) as unknown as IncomingMessage
const here = { host: '127.0.0.1', allowedOrigins: ['https://app.example'], allowedHosts: undefined }

describe('who may use the backend', () => {
  it.each([
    ['no page at all', { host: 'localhost:8000' }],
    ['a page it serves itself', { host: 'localhost:8000', origin: 'http://localhost:8000' }],
    ['the same under its number', { host: '[::1]:8000', origin: 'http://[::1]:8000' }],
    ['a page of an allowed origin', { host: '127.0.0.1:8000', origin: 'https://app.example' }],
  ])('%s', (_who, headers) => {
    expect(refusal(asked(headers), here)).toBeUndefined()
  })

  it.each([
    ['a page of another site', { host: 'localhost:8000', origin: 'https://evil.example' }],
    ['a page of another port', { host: 'localhost:8000', origin: 'http://localhost:3000' }],
    ['a page without an origin to name', { host: 'localhost:8000', origin: 'null' }],
    [
      'an origin that only begins alike',
      { host: 'localhost:8000', origin: 'https://app.example.evil.example' },
    ],
    ['a name that somebody points here', { host: 'evil.example:8000', origin: 'http://evil.example:8000' }],
    ['a request without a name', {}],
    ['a page of another scheme', { host: 'localhost:8000', origin: 'ftp://localhost:8000' }],
    ['an extension', { host: 'localhost', origin: 'chrome-extension://localhost' }],
  ])('not %s', (_who, headers) => {
    expect(refusal(asked(headers), here)).toMatchObject({
      reason: expect.any(String),
      option: expect.any(String),
    })
  })

  it('open to the network it answers to any name, unless told which', () => {
    const everywhere = { ...here, host: '0.0.0.0' }
    expect(refusal(asked({ host: 'backend.example' }), everywhere)).toBeUndefined()
    const named = { ...everywhere, allowedHosts: ['backend.EXAMPLE'] }
    expect(refusal(asked({ host: 'Backend.Example:443' }), named)).toBeUndefined()
    expect(refusal(asked({ host: 'other.example' }), named)).toMatchObject({
      reason: expect.any(String),
      option: expect.any(String),
    })
  })

  it.each([
    // What the server knows of its own scheme, the page, and whether that is a page of its own.
    [{ encrypted: true }, {}, 'https://localhost', true],
    [{ encrypted: true }, {}, 'http://localhost', false],
    [{ encrypted: true }, { 'x-forwarded-proto': 'http' }, 'http://localhost', false],
    [{}, {}, 'https://localhost', true],
    [{}, {}, 'http://localhost', true],
    [{}, { 'x-forwarded-proto': 'https' }, 'http://localhost', false],
    [{}, { 'x-forwarded-proto': 'wss, http' }, 'http://localhost', false],
    [{}, { 'x-forwarded-proto': 'https' }, 'https://localhost', true],
    [{}, { 'x-forwarded-proto': 'http' }, 'https://localhost', false],
  ])('the scheme counts: %o %o %s -> %s', (socket, headers, origin, own) => {
    const request = {
      headers: { host: 'localhost', origin, ...headers },
      socket,
    } as unknown as IncomingMessage
    expect(refusal(request, here) === undefined).toBe(own)
  })

  it('the port that goes without saying may be said', () => {
    const rules = { ...here, host: '' }
    expect(refusal(asked({ host: 'app.example:443', origin: 'https://app.example' }), rules)).toBeUndefined()
    expect(refusal(asked({ host: 'app.example:443', origin: 'http://app.example' }), rules)).toBeDefined()
  })

  it.each([
    ['127.0.0.1', true],
    ['127.8.9.1', true],
    ['::1', true],
    ['::ffff:127.0.0.1', true],
    ['10.0.0.1', false],
    ['::ffff:10.0.0.1', false],
    [undefined, false],
  ])('%s is loopback: %s', (address, loopback) => {
    expect(isLoopbackAddress(address)).toBe(loopback)
  })
})
