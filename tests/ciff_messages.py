"""Writer of CIFF by the reference implementation of Protocol Buffers, from the definition of the format."""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

# Fields in the order of their numbers, from 1: osirrc/ciff, CommonIndexFileFormat.proto.
_MESSAGES = {
    "Header": "int32 version, int32 num_postings_lists, int32 num_doc_records, int32 total_postings_lists, "
    "int32 total_docs, int64 total_terms_in_collection, double average_doclength, string description",
    "Posting": "int32 docid, int32 tf",
    "PostingsList": "string term, int64 df, int64 cf, Posting postings",
    "DocRecord": "int32 docid, string collection_docid, int32 doclength",
}
_Field = descriptor_pb2.FieldDescriptorProto


def _classes():
    file = descriptor_pb2.FileDescriptorProto(name="ciff.proto", package="io.osirrc.ciff", syntax="proto3")
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field in enumerate(fields.split(", "), 1):
            kind, _, field = field.partition(" ")
            if kind in _MESSAGES:
                kinds = {"type": _Field.TYPE_MESSAGE, "type_name": f".io.osirrc.ciff.{kind}"}
                message.field.add(name=field, number=number, label=_Field.LABEL_REPEATED, **kinds)
            else:
                kind = getattr(_Field, f"TYPE_{kind.upper()}")
                message.field.add(name=field, number=number, label=_Field.LABEL_OPTIONAL, type=kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = {name: pool.FindMessageTypeByName(f"io.osirrc.ciff.{name}") for name in _MESSAGES}
    return {name: message_factory.GetMessageClass(descriptor) for name, descriptor in found.items()}


CLASSES = _classes()


def message(kind, **values):
    """A message in bytes, with its length before it."""
    return delimited(CLASSES[kind](**values).SerializeToString())


def delimited(content):
    return varint(len(content)) + content


def varint(number):
    number &= (1 << 64) - 1
    content = b""
    while number > 127:
        content += bytes([number & 127 | 128])
        number >>= 7
    return content + bytes([number])


def postings_list(term, counts, **changed):
    """The message of a term, given a dict from document to count."""
    docs = sorted(counts)
    gaps = [doc - before for before, doc in zip([0, *docs], docs)]
    postings = [CLASSES["Posting"](docid=gap, tf=counts[doc]) for gap, doc in zip(gaps, docs)]
    values = {"term": term, "df": len(docs), "cf": sum(counts.values()), "postings": postings}
    return message("PostingsList", **values | changed)


def ciff(lists, documents, **changed):
    """A file, given dicts term → document → count and id → length."""
    values = {
        "version": 1,
        "num_postings_lists": len(lists),
        "num_doc_records": len(documents),
        "total_postings_lists": len(lists),
        "total_docs": len(documents),
        "total_terms_in_collection": sum(sum(counts.values()) for counts in lists.values()),
        "average_doclength": 1.5,
        "description": "made by a test",
    }
    records = [
        message("DocRecord", docid=i, collection_docid=docid, doclength=length)
        for i, (docid, length) in enumerate(documents.items())
    ]
    lists = [postings_list(term, counts) for term, counts in lists.items()]
    return b"".join([message("Header", **values | changed), *lists, *records])
