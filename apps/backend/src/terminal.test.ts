// The command line, the wrapped text, the files it serves.

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readArgs } from './args.ts'
import { fileFor } from './staticFiles.ts'
import { WrappedText } from './WrappedText.ts'

describe('readArgs', () => {
  it('reads what is given and fills the rest', () => {
    expect(readArgs([])).toEqual({
      once: false,
      port: 8000,
      upstream: undefined,
      model: undefined,
      help: false,
    })
    expect(
      readArgs(['--once', '--port', '9000', '--upstream', 'http://localhost:11434/v1', '--model', 'm']),
    ).toMatchObject({
      once: true,
      port: 9000,
      upstream: 'http://localhost:11434/v1',
      model: 'm',
    })
  })

  it.each([
    [['--port', 'x'], '--port must be a whole number from 0 to 65535, got "x"'],
    [['--upstream', 'localhost'], '--upstream must be a URL'],
    [['--model', 'm'], '--upstream and --model go together'],
    [['--prot'], /prot/],
    [['stray'], /stray/],
  ])('%j is refused', (argv, message) => {
    expect(() => readArgs(argv)).toThrow(message)
  })
})

describe('WrappedText', () => {
  const wrap = (pieces: readonly string[], width: number, indent = '') => {
    let out = ''
    const text = new WrappedText(
      (piece) => {
        out += piece
      },
      width,
      indent,
    )
    for (const piece of pieces) text.push(piece)
    text.end()
    return out
  }

  it('wraps at words, indents, and keeps paragraphs', () => {
    expect(wrap(['one two thr', 'ee four\n\nfive'], 10, '  ')).toBe('  one two\n  three\n  four\n\n  five\n')
  })

  it('a word longer than the line stands alone', () => {
    expect(wrap(['a incomprehensibilities b'], 8)).toBe('a\nincomprehensibilities\nb\n')
  })

  it('however it is cut into pieces, the result is the same, nothing is lost and no line is too long', () => {
    fc.assert(
      fc.property(
        fc.array(fc.stringMatching(/^[a-z]{1,8}$/), { minLength: 1, maxLength: 60 }),
        fc.integer({ min: 1, max: 7 }),
        (words, size) => {
          const text = words.join(' ')
          const pieces = text.match(new RegExp(`.{1,${size}}`, 'g')) ?? []
          const wrapped = wrap(pieces, 20, '  ')
          expect(wrapped).toBe(wrap([text], 20, '  '))
          expect(wrapped.split(/\s+/).filter(Boolean)).toEqual(words)
          for (const line of wrapped.split('\n')) expect(line.length).toBeLessThanOrEqual(20)
        },
      ),
    )
  })
})

describe('fileFor', () => {
  it.each([
    ['/', '/site/index.html'],
    ['/assets/app.js?v=1', '/site/assets/app.js'],
    ['/a/../b.js', '/site/b.js'],
  ])('%s is %s', (url, file) => {
    expect(fileFor('/site', url)).toBe(file)
  })

  it.each(['/../secret', '/%2e%2e/secret', '/..%2fsecret', '/%00', '/%zz', '/..\\secret'])(
    '%s is refused',
    (url) => {
      expect(fileFor('/site', url)).toBeUndefined()
    },
  )
})
