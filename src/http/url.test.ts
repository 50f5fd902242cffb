import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { resolveRedirect } from './redirects.ts'
import { isLoopback, type OriginRules, parseBase, resolveTarget } from './url.ts'

function rules(base?: string, more: Partial<OriginRules> = {}): OriginRules {
  return {
    base: base === undefined ? undefined : parseBase(base),
    allowedOrigins: new Set(),
    allowInsecure: true,
    ...more,
  }
}

const href = (target: { origin: string; path: string }) => target.origin + target.path

describe('joining with the base', () => {
  it.each([
    ['https://h/v1', '/users', 'https://h/v1/users'],
    ['https://h/v1/', 'users', 'https://h/v1/users'],
    ['https://h/v1', '', 'https://h/v1'],
    ['https://h', '', 'https://h/'],
    ['https://h', '?a=1', 'https://h/?a=1'],
    ['https://h/v1', '?a=1', 'https://h/v1?a=1'],
    ['https://h/v1', '/a b/ü', 'https://h/v1/a%20b/%C3%BC'],
    ['https://h/v1', '/x#part', 'https://h/v1/x'],
    ['https://h/v1', '/models/a:generate', 'https://h/v1/models/a:generate'],
    ['https://h:8443/v1', '/x', 'https://h:8443/v1/x'],
    ['https://h/v1', 'https://h/other', 'https://h/other'],
    ['https://h/v1', ' \t/x\n', 'https://h/v1/x'],
  ])('%s and %j give %s', (base, url, result) => {
    expect(href(resolveTarget(url, '', rules(base)))).toBe(result)
  })

  it('appends parameters to a query that is there', () => {
    expect(href(resolveTarget('/x?a=1', 'b=2', rules('https://h')))).toBe('https://h/x?a=1&b=2')
    expect(href(resolveTarget('/x', 'b=2', rules('https://h')))).toBe('https://h/x?b=2')
  })

  it('takes a URL object', () => {
    expect(href(resolveTarget(new URL('https://h/x'), '', rules('https://h')))).toBe('https://h/x')
  })

  it('needs a base for a relative URL', () => {
    expect(() => resolveTarget('/x', '', rules())).toThrow(/invalid URL.*no baseURL/)
  })

  it('knows the path without the query, for limits', () => {
    expect(resolveTarget('/x?secret=1', '', rules('https://h/v1')).pathname).toBe('/v1/x')
  })
})

describe('a URL never escapes the origin of its base (CVE-2024-39338, CVE-2025-27152)', () => {
  it.each([
    'http://evil.example/x',
    'https://evil.example/x',
    'HTTPS://evil.example/x',
    '//evil.example/x',
    '\\\\evil.example/x',
    '/\\evil.example/x',
    '\\/evil.example/x',
    '\t//evil.example/x',
    '/\t/evil.example/x',
    ' \u0000 //evil.example',
    'ht\ntps://evil.example',
    'https:evil.example',
    'https:/evil.example',
    'https:\\\\evil.example',
    'https://h.evil.example/',
    'https://h:8443/',
    'http://h/',
  ])('%j is refused', (url) => {
    const target = () => resolveTarget(url, '', rules('https://h/v1'))
    expect(target).toThrow()
    try {
      target()
    } catch (error) {
      expect(error).toMatchObject({ code: expect.stringMatching(/ORIGIN_NOT_ALLOWED|BAD_REQUEST/) })
    }
  })

  it.each([
    'data:text/plain,hi',
    'file:///etc/passwd',
    'javascript:alert(1)',
    'ws://h/x',
    'ftp://h/x',
    'blob:https://h/1',
  ])('%j is refused: http and https only (CVE-2025-58754)', (url) => {
    expect(() => resolveTarget(url, '', rules('https://h'))).toThrow(/invalid URL.*http:\/\//)
    expect(() => resolveTarget(url, '', rules())).toThrow(/invalid URL/)
  })

  it('holds for any text whatever', () => {
    const nasty = fc.string({
      unit: fc.constantFrom(
        '/',
        '\\',
        ':',
        '@',
        '.',
        '\t',
        '\n',
        ' ',
        '\u0000',
        'h',
        'e',
        'http',
        'https',
        '?',
        '#',
        '%2f',
        '[',
        ']',
        '..',
      ),
      maxLength: 12,
    })
    const origin = 'https://h.example'
    fc.assert(
      fc.property(fc.oneof(nasty, fc.string(), fc.webUrl()), (url) => {
        try {
          const target = resolveTarget(url, '', rules(`${origin}/v1`))
          expect(target.origin).toBe(origin)
          expect(new URL(target.origin + target.path).origin).toBe(origin)
        } catch (error) {
          expect(error).toMatchObject({ code: expect.stringMatching(/ORIGIN_NOT_ALLOWED|BAD_REQUEST/) })
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('reaches origins that are allowed by name, and no others', () => {
    const allowed = rules('https://h', { allowedOrigins: new Set(['https://cdn.example']) })
    expect(href(resolveTarget('https://cdn.example/x', '', allowed))).toBe('https://cdn.example/x')
    expect(() => resolveTarget('https://cdn.example:444/x', '', allowed)).toThrow(/not allowed/)
  })

  it('refuses user name and password in a URL, and does not repeat them', () => {
    for (const url of ['https://user:hunter2@h/x', 'https://h@h/x']) {
      const target = () => resolveTarget(url, '', rules('https://h'))
      expect(target).toThrow(/authorization/)
      expect(target).not.toThrow(/hunter2/)
    }
  })
})

describe('a base', () => {
  it.each([
    ['not a url', /baseURL.*invalid URL/],
    ['localhost:8000', /must begin with http:\/\/ or https:\/\/, got localhost:/],
    ['ftp://h', /must begin with http/],
    ['https://u:p@h', /user name/],
    ['https://h/?key=1', /neither query nor fragment/],
    ['https://h/#x', /neither query nor fragment/],
    ['', /invalid URL/],
  ])('%j is refused', (base, message) => {
    expect(() => parseBase(base)).toThrow(message)
    expect(() => parseBase(base)).toThrow(
      expect.objectContaining({ name: 'TypeError', code: 'INVALID_OPTION', option: 'baseURL' }),
    )
  })

  it('may be relative to a page', () => {
    expect(parseBase('/api', 'https://app.example/index.html')).toEqual({
      origin: 'https://app.example',
      prefix: '/api',
    })
  })
})

describe('plain http', () => {
  const strict = { allowInsecure: false }
  it('is refused to other hosts when it is not allowed', () => {
    expect(() => resolveTarget('/x', '', rules('http://h', strict))).toThrow(/plain http.*allowInsecure/)
    expect(href(resolveTarget('/x', '', rules('https://h', strict)))).toBe('https://h/x')
  })

  it.each(['localhost', 'api.localhost', '127.0.0.1', '127.1.2.3', '[::1]'])('is allowed to %s', (host) => {
    expect(href(resolveTarget('/x', '', rules(`http://${host}`, strict)))).toBe(`http://${host}/x`)
  })

  it.each(['localhost.evil.example', '127.0.0.1.evil.example', '128.0.0.1', 'notlocalhost'])(
    '%s is not this machine',
    (host) => {
      expect(isLoopback(host)).toBe(false)
    },
  )
})

describe('a redirect', () => {
  const from = resolveTarget('https://h/a/b?x=1', '', rules())
  it.each([
    ['c', 'https://h/a/c'],
    ['/c', 'https://h/c'],
    ['?y=2', 'https://h/a/b?y=2'],
    ['//h/c', 'https://h/c'],
  ])('to %j leads to %s', (location, result) => {
    expect(href(resolveRedirect(location, from, (url) => resolveTarget(url, '', rules('https://h'))))).toBe(
      result,
    )
  })

  it('never leads from https to http', () => {
    expect(() => resolveRedirect('http://h/x', from, (url) => resolveTarget(url, '', rules()))).toThrow(
      /https to http/,
    )
  })

  it('is checked like any other URL', () => {
    expect(() =>
      resolveRedirect('https://evil.example', from, (url) => resolveTarget(url, '', rules('https://h'))),
    ).toThrow(/not allowed/)
    expect(() => resolveRedirect('javascript:1', from, (url) => resolveTarget(url, '', rules()))).toThrow(
      /must begin with http/,
    )
    expect(() => resolveRedirect('https://[broken', from, (url) => resolveTarget(url, '', rules()))).toThrow(
      /invalid URL/,
    )
  })
})

describe('the path of a base', () => {
  const rules = { base: parseBase('https://h/v1/x'), allowedOrigins: new Set<string>(), allowInsecure: true }

  it.each(['../y', '/../y', '/a/../../y', '/%2e%2e/y', '/.%2E/y', '..\\y', '/../../..', '/../xy', '..'])(
    'is not left by %s',
    (url) => {
      expect(() => resolveTarget(url, '', rules)).toThrow(/leads out of the path of the base \(\/v1\/x\/\)/)
    },
  )

  it.each([
    ['/a/../b', '/v1/x/b'],
    ['', '/v1/x'],
    ['/a/..', '/v1/x/'],
    ['?q=../..', '/v1/x'],
    ['https://h/other', '/other'],
    ['//h/other', '/other'],
  ])('is kept by %s, or left on purpose', (url, pathname) => {
    expect(resolveTarget(url, '', rules).pathname).toBe(pathname)
  })
})
