// The command line, the wrapped text, the files it serves.

import { Writable } from 'node:stream'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readArgs } from './args.ts'
import { fileFor } from './staticFiles.ts'
import { duration, Timeline } from './Timeline.ts'
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
    [['--port='], '--port must be a whole number from 0 to 65535, got ""'],
    [['--port', '1e3'], /--port/],
    [['--upstream', 'localhost'], '--upstream must be a URL'],
    [['--upstream', 'http://', '--model', 'm'], '--upstream must be a URL'],
    [['--upstream', 'http://h/v1?key=1', '--model', 'm'], '--upstream must be a URL'],
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

  it('leaves out what would command the terminal', () => {
    expect(wrap(['a\x1b[2Jb\x07 c\x9b1m\rd\te'], 40)).toBe('a[2Jb c1md e\n')
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

describe('Timeline', () => {
  const written = (columns: number | undefined, write: (timeline: Timeline) => void) => {
    let out = ''
    const stream = new Writable({
      write(chunk, _encoding, done) {
        out += chunk
        done()
      },
    })
    write(new Timeline(Object.assign(stream, { columns }) as unknown as NodeJS.WriteStream))
    return out
  }

  it.each([
    [80, 79],
    [120, 95],
    [undefined, 79],
    [20, 39],
  ])('in %s columns, answers are at most %i wide', (columns, width) => {
    const out = written(columns, (timeline) => {
      const text = timeline.answer()
      text.push('word '.repeat(200))
      text.end()
    })
    const longest = Math.max(...out.split('\n').map((line) => line.length))
    expect(longest).toBeLessThanOrEqual(width)
    expect(longest).toBeGreaterThan(width - 6)
  })

  it('writes plain text where nobody sees colours', () => {
    const out = written(80, (timeline) => {
      timeline.title('title', 'note')
      timeline.state('open', 'back')
      timeline.hurt('cut')
      timeline.counts([{ count: 0, what: 'lost', good: true }])
    })
    expect(out).not.toContain('\x1b')
    expect(out).toMatch(/\d\.\d\d s {2}● open {8}back\n/)
  })

  it.each([
    [0.4, '0 ms'],
    [999, '999 ms'],
    [1500, '1.5 s'],
    [2000, '2 s'],
  ])('%d ms are %s', (ms, text) => {
    expect(duration(ms)).toBe(text)
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
