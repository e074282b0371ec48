/**
 * A strict JSON reader for hostile files: the caller states what may come next, so depth is bounded by the caller's code, duplicate keys
 * are seen (JSON.parse hides them), and nothing is built that was not asked for.
 */

const quote = 0x22
const backslash = 0x5c

/** Reads one JSON text from left to right. Every fault goes to `fail`, which throws. */
export class JsonReader {
  private at = 0
  /** No escapes and no control characters anywhere: a string then ends at the next quote. */
  private readonly plain: boolean
  private readonly text: string
  private readonly fail: (message: string, offset: number) => never

  constructor(text: string, fail: (message: string, offset: number) => never) {
    this.text = text
    this.fail = fail
    let plain = true
    for (let i = 0; i < text.length && plain; i++) {
      const code = text.charCodeAt(i)
      plain = code >= 0x20 && code !== backslash
    }
    this.plain = plain
  }

  /** The offset of the next value, for messages. */
  get offset(): number {
    return this.at
  }

  /** Refuses what was just read, with the caller's reason. */
  refuse(message: string): never {
    return this.fail(message, this.at)
  }

  private space(): number {
    for (;;) {
      const code = this.text.charCodeAt(this.at)
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return code
      this.at++
    }
  }

  private expect(code: number): void {
    if (this.space() !== code) this.unexpected(`"${String.fromCharCode(code)}"`)
    this.at++
  }

  private unexpected(expected: string): never {
    const found = this.at >= this.text.length ? 'the end' : JSON.stringify(this.text[this.at])
    return this.fail(`expected ${expected}, found ${found}`, this.at)
  }

  /** Reads an object; `each` must read the value of its key. */
  object(each: (key: string) => void): void {
    this.expect(0x7b)
    if (this.space() === 0x7d) {
      this.at++
      return
    }
    for (;;) {
      const key = this.string()
      this.expect(0x3a)
      each(key)
      if (this.space() === 0x7d) break
      this.expect(0x2c)
    }
    this.at++
  }

  /** Reads an array; `each` must read one item. */
  array(each: () => void): void {
    this.expect(0x5b)
    if (this.space() === 0x5d) {
      this.at++
      return
    }
    for (;;) {
      each()
      if (this.space() === 0x5d) break
      this.expect(0x2c)
    }
    this.at++
  }

  string(): string {
    if (this.space() !== quote) this.unexpected('a string')
    const start = this.at++
    if (this.plain) {
      const end = this.text.indexOf('"', this.at)
      this.at = end < 0 ? this.text.length : end + 1
      if (end < 0) this.unexpected('the rest of a string')
      return this.text.slice(start + 1, end)
    }
    let escaped = false
    for (;;) {
      const code = this.text.charCodeAt(this.at++)
      if (code === quote) break
      if (code === backslash) {
        escaped = true
        this.at++
      } else if (!(code >= 0x20)) {
        this.at--
        this.unexpected('the rest of a string')
      }
    }
    if (!escaped) return this.text.slice(start + 1, this.at - 1)
    try {
      const value = JSON.parse(this.text.slice(start, this.at)) as string
      if (!/\p{Surrogate}/u.test(value)) return value
    } catch {}
    return this.fail('a string holds a malformed escape', start)
  }

  /** Reads a whole number of at least 0 that a double holds exactly, written in plain digits. */
  natural(): number {
    this.space()
    const start = this.at
    let value = 0
    for (;;) {
      const digit = this.text.charCodeAt(this.at) - 0x30
      if (!(digit >= 0 && digit <= 9)) break
      value = value * 10 + digit
      if (value > Number.MAX_SAFE_INTEGER) this.fail('a number is too large', start)
      this.at++
    }
    const leadingZero = this.at - start > 1 && this.text.charCodeAt(start) === 0x30
    if (this.at === start || leadingZero || /[.eE]/.test(this.text[this.at] ?? ''))
      this.unexpected('a whole number of at least 0')
    return value
  }

  /** Passes over any value, at most `depth` levels deep. */
  skip(depth: number): void {
    const code = this.space()
    if (code === quote) this.string()
    else if (code === 0x7b || code === 0x5b) {
      if (depth === 0) this.refuse('the JSON is nested too deeply')
      if (code === 0x7b) this.object(() => this.skip(depth - 1))
      else this.array(() => this.skip(depth - 1))
    } else {
      const scalar = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
      scalar.lastIndex = this.at
      if (!scalar.test(this.text)) this.unexpected('a value')
      this.at = scalar.lastIndex
    }
  }

  /** Checks that only white space follows. */
  end(): void {
    this.space()
    if (this.at < this.text.length) this.unexpected('the end')
  }
}
