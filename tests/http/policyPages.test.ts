// The pages of the policies: the same sections on each, and nothing said of options that the code does not know.
// Their examples run in exports.test.ts.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { snippetsOf } from '../support/snippets.ts'

const root = join(import.meta.dirname, '../..')
const folder = join(root, 'docs/policies')
const pages = readdirSync(folder).filter((file) => file.endsWith('.md') && file !== 'README.md')
const SECTIONS = ['Usage', 'Defaults', 'How it works', 'What it tells', 'Do not']

/** Where the options of a page are declared. */
const declared: Record<string, string[]> = {
  'adaptive-throttle.md': ['adaptiveThrottle/adaptiveThrottle.ts'],
  'bearer-auth.md': ['bearerAuth/bearerAuth.ts'],
  'bulkhead.md': ['bulkhead/bulkhead.ts'],
  'chaos.md': ['chaos/chaos.ts'],
  'circuit-breaker.md': ['circuitBreaker/options.ts', 'circuitBreaker/CircuitBreaker.ts'],
  'fallback.md': ['fallback/fallback.ts'],
  'hedge.md': ['hedge/hedge.ts'],
  'rate-limiter.md': ['rateLimiter/RateLimiter.ts', 'rateLimiter/learnRateLimits.ts'],
  'retry.md': ['retry/options.ts', 'retry/retry.ts', 'retry/retryBudget.ts'],
  'timeout.md': ['timeout/timeout.ts'],
}

/** The options that an interface of these files declares. */
function optionsIn(files: readonly string[]): Set<string> {
  const names = new Set<string>()
  for (const file of files) {
    const source = readFileSync(join(root, 'src/policies', file), 'utf8')
    for (const [, body] of source.matchAll(/export interface \w*Options\w*[^{]*\{\n(.*?)\n\}/gs))
      for (const [, name] of (body as string).matchAll(/^ {2}(\w+)\?:/gm)) names.add(name as string)
  }
  return names
}

/** The names in the first column of the tables of options of a policy. */
function optionsOf(text: string): string[] {
  const section = /## Defaults\n(.*?)\n## /s.exec(text)?.[1] ?? ''
  return [...section.matchAll(/^\| option[^\n]*\n\|[-|]+\n((?:\|.*\n)+)/gm)].flatMap(([, rows]) =>
    (rows as string)
      .split('\n')
      .flatMap((row) =>
        [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name as string),
      ),
  )
}

describe.each(pages)('%s', (page) => {
  const text = readFileSync(join(folder, page), 'utf8')

  it('has a title, a first sentence and the sections, in their order', () => {
    expect(text).toMatch(/^# \S.*\n\n\S/)
    expect([...text.matchAll(/^## (.*)$/gm)].map(([, title]) => title)).toEqual(SECTIONS)
  })

  it('shows it at work, how it works, its defaults and what not to do', () => {
    expect(snippetsOf(root, join('docs/policies', page)).length).toBeGreaterThan(0)
    expect(/## How it works\n+```/.test(text)).toBe(true)
    expect(/## Defaults\n+\|/.test(text)).toBe(true)
    expect(/## Do not\n+- /.test(text)).toBe(true)
  })

  it('knows every option that there is, and no other', () => {
    const files = declared[page]
    if (!files) return
    const there = optionsIn(files)
    expect(there.size).toBeGreaterThan(0)
    const told = new Set(optionsOf(text))
    for (const own of ['latency', 'timeoutMs', 'coalesce', 'token']) there.add(own)
    expect(
      [...told].filter((name) => !there.has(name) && name !== 'learnRateLimits' && name !== 'RetryBudget'),
    ).toEqual([])
    const untold = [...optionsIn(files)].filter((name) => !told.has(name))
    // Told in words beside the table.
    expect(untold.filter((name) => !text.includes(`\`${name}\``) && !text.includes(name))).toEqual([])
  })

  it('is in the list of policies', () => {
    expect(readFileSync(join(folder, 'README.md'), 'utf8')).toContain(`(${page})`)
  })
})
