"""dataframes.py: DataFrames as records."""


class DataframeUtils:
    @classmethod
    def to_records(cls, data):
        return data.to_dict("records")
