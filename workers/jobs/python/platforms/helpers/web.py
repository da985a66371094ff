"""web.py: archives that were fetched, as records. Of an archive of several files the last is taken."""
import csv
import gzip
import io
import zipfile


class WebUtils:
    @classmethod
    def archive_to_records(cls, bytestream, archive_type):
        """A list of dicts, by the names of the first line."""
        return [dict(row) for row in csv.DictReader(io.StringIO(cls._extract_archive(bytestream, archive_type)))]

    @classmethod
    def archive_to_dataframe(cls, bytestream, archive_type, data_rows=(0, -1)):
        import pandas  # the users' own, where they use it
        text = cls._extract_archive(bytestream, archive_type)
        if data_rows:
            text = "\n".join(text.splitlines()[data_rows[0]:data_rows[1]])
        return pandas.read_csv(io.StringIO(text))

    @classmethod
    def _extract_gzip(cls, bytestream):
        return gzip.decompress(bytestream).decode()

    @classmethod
    def _extract_zip(cls, bytestream):
        with zipfile.ZipFile(io.BytesIO(bytestream)) as archive:
            return {item.filename: archive.read(item).decode() for item in archive.infolist()}

    @classmethod
    def _extract_archive(cls, bytestream, archive_type):
        kind = archive_type.lower()
        if kind == "zip":
            return cls._extract_zip(bytestream).popitem()[1]
        if kind in ("gzip", "gz"):
            return cls._extract_gzip(bytestream)
        raise NotImplementedError(f"no archive of type {archive_type} is read: zip, gzip or gz is wanted")
