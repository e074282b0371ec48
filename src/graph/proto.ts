/** The few parts of the protobuf wire format that an ONNX file needs: varints, 32-bit floats and length-delimited fields. */

const utf8 = new TextEncoder()

/** Collects the fields of one protobuf message. Fields are written in call order; nested messages are finished Writers. */
export class ProtoWriter {
  private readonly parts: Uint8Array[] = []
  private length = 0

  private push(bytes: Uint8Array): void {
    this.parts.push(bytes)
    this.length += bytes.length
  }

  private key(field: number, wire: number): void {
    this.push(varint(BigInt(field * 8 + wire)))
  }

  /** An integer field; negative numbers take ten bytes, as the format asks. */
  int(field: number, value: number): this {
    this.key(field, 0)
    this.push(varint(BigInt.asUintN(64, BigInt(value))))
    return this
  }

  float(field: number, value: number): this {
    this.key(field, 5)
    this.push(new Uint8Array(Float32Array.of(value).buffer))
    return this
  }

  bytes(field: number, value: Uint8Array): this {
    this.key(field, 2)
    this.push(varint(BigInt(value.length)))
    this.push(value)
    return this
  }

  string(field: number, value: string): this {
    return this.bytes(field, utf8.encode(value))
  }

  message(field: number, value: ProtoWriter): this {
    this.key(field, 2)
    this.push(varint(BigInt(value.length)))
    for (const part of value.parts) this.push(part)
    return this
  }

  finish(): Uint8Array {
    const out = new Uint8Array(this.length)
    let offset = 0
    for (const part of this.parts) {
      out.set(part, offset)
      offset += part.length
    }
    return out
  }
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = []
  while (value > 127n) {
    bytes.push(Number(value & 127n) | 128)
    value >>= 7n
  }
  bytes.push(Number(value))
  return Uint8Array.from(bytes)
}
