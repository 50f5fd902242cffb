// No regular expression of the detectors takes more than linear time, by analysis of each. Those below would, but are only
// asked about pieces of bounded length; the reason stands beside each.

import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { analyse } from 'scslre'
import { describe, expect, it } from 'vitest'

const FOLDER = new URL('../../src/security/', import.meta.url)
const LITERAL = /(?<=[\s([,=:!?&|]|^)\/(?![/*\s])((?:\[(?:\\.|[^\]\\\n])*\]|\\.|[^/\\\n[])+)\/([dgimsuvy]*)/g

/** Beginnings of patterns that see bounded pieces only. */
const BOUNDED: Readonly<Record<string, string>> = {
  '^(?:user|localgroup)\\s': 'arguments of a command: at most 120 characters',
  '(?:^|\\n)\\s*\\|': 'the 80 characters before a command',
  '[<>].*$': 'one word of at most 160 characters',
  '^[\\s)]*;\\s*[a-z]': 'asked of texts that end within 200 characters',
}

function patterns(): { file: string; source: string; flags: string }[] {
  return readdirSync(FOLDER, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && !/\.test\.ts$|weights\.ts$/.test(file))
    .flatMap((file) => {
      const text = readFileSync(fileURLToPath(new URL(file, FOLDER)), 'utf8').replace(
        /^\s*(?:\/\/|\*|\/\*\*).*$/gm,
        '',
      )
      return [...text.matchAll(LITERAL)].map(([, source = '', flags = '']) => ({ file, source, flags }))
    })
}

/** How a pattern can be made slow: '' where it cannot. */
function weakness(source: string, flags: string): string {
  return analyse({ source, flags }, { maxReports: 1 })
    .reports.map(({ type, exponential }) => `${type}${exponential ? ', exponential' : ''}`)
    .join()
}

describe('every pattern of the detectors is linear', () => {
  const all = patterns()

  it('and all are looked at', () => {
    expect(all.length).toBeGreaterThan(150)
  })

  it.each(all)('$file: $source', ({ source, flags }) => {
    const known = Object.keys(BOUNDED).some((beginning) => source.startsWith(beginning))
    if (!known) expect(weakness(source, flags)).toBe('')
  })

  it.each(Object.entries(BOUNDED))('but for %s (%s)', (beginning) => {
    const found = all.filter(({ source }) => source.startsWith(beginning))
    expect(found).toHaveLength(1)
    expect(weakness(found[0]?.source ?? '', found[0]?.flags ?? '')).not.toBe('')
  })

  it.each(['^\\s*\\(?\\s*x', '[;\\n]\\s*\\$', '(?:a+)+b', '\\d+\\w*$'])('the analysis sees %s', (source) => {
    expect(weakness(source, '')).not.toBe('')
  })
})
